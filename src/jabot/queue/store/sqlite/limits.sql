-- name: settle_lane(name, now)
-- Let through as many jobs of a lane as may start now, the first of each kind.
UPDATE lanes SET room = max(0, min(
    256,
    coalesce(slots - running, 256),
    coalesce(CAST((:now - max(arrival, :now)) / gap + burst + 0.001 AS INTEGER), 256)
)) WHERE name = :name;
DELETE FROM admitted;
INSERT INTO admitted
    WITH RECURSIVE kinds (kind) AS (
        SELECT min(kind) FROM jobs
        WHERE lane = :name AND lane IS NOT NULL AND state = 'available' AND gate <= 1
        UNION ALL
        SELECT (
            SELECT min(j.kind) FROM jobs AS j
            WHERE j.lane = :name AND j.lane IS NOT NULL AND j.state = 'available' AND j.gate <= 1
                AND j.kind > kinds.kind
        ) FROM kinds WHERE kinds.kind IS NOT NULL
    )
    SELECT j.seq FROM kinds CROSS JOIN jobs AS j ON j.seq IN (
        SELECT f.seq FROM jobs AS f
        WHERE f.lane = :name AND f.lane IS NOT NULL AND f.kind = kinds.kind
            AND f.state = 'available' AND f.gate <= 1
        ORDER BY f.priority DESC, f.seq
        LIMIT (SELECT room FROM lanes WHERE name = :name)
    ) WHERE kinds.kind IS NOT NULL;
UPDATE jobs SET gate = 1
    WHERE lane = :name AND lane IS NOT NULL AND state = 'available' AND gate = 0
        AND seq NOT IN (SELECT seq FROM admitted);
UPDATE jobs SET gate = 0 WHERE gate = 1 AND seq IN (SELECT seq FROM admitted);
UPDATE lanes SET next = CASE
    WHEN gap IS NOT NULL AND room < coalesce(slots - running, 256) AND room < 256 AND EXISTS (
        SELECT 1 FROM jobs AS j
        WHERE j.lane = :name AND j.lane IS NOT NULL AND j.state = 'available' AND j.gate <= 1
            AND j.gate = 1
    ) THEN max(arrival, :now) + (room + 1 - burst) * gap END
    WHERE name = :name;

-- name: settle_unique(owner, name, now)
-- Let the first waiting job of a unique name be next, when none is or runs.
UPDATE jobs SET gate = lane IS NOT NULL WHERE seq = (
    SELECT w.seq FROM jobs AS w
    WHERE w.owner = :owner AND w.unique_name = :name AND w.unique_name IS NOT NULL
        AND w.ended IS NULL AND w.state = 'available' AND w.gate = 2
    ORDER BY w.priority DESC, w.seq LIMIT 1
) AND NOT EXISTS (
    SELECT 1 FROM jobs AS b
    WHERE b.owner = :owner AND b.unique_name = :name AND b.unique_name IS NOT NULL
        AND b.ended IS NULL AND (b.state = 'running' OR b.state = 'available' AND b.gate < 2)
);
INSERT INTO settle_lane SELECT lane, :now FROM jobs
    WHERE owner = :owner AND unique_name = :name AND unique_name IS NOT NULL
        AND ended IS NULL AND state = 'available' AND gate = 1;

-- name: settle_rising(cause, now)
-- Bring the jobs in `rising`, which have become available, behind or through what limits them.
INSERT INTO settle_unique SELECT DISTINCT owner, unique_name, :now FROM jobs
    WHERE seq IN (SELECT seq FROM rising) AND unique_name IS NOT NULL;
INSERT INTO settle_lane SELECT DISTINCT lane, :now FROM jobs
    WHERE seq IN (SELECT seq FROM rising) AND lane IS NOT NULL;
INSERT INTO effect SELECT DISTINCT :cause, kind, NULL FROM jobs
    WHERE seq IN (SELECT seq FROM rising) AND gate = 0 AND state = 'available';

-- name: settle_falling(cause, now)
-- Let follow what waited behind the jobs in `falling`, which have ended without having run.
INSERT INTO settle_unique SELECT DISTINCT owner, unique_name, :now FROM jobs
    WHERE seq IN (SELECT seq FROM falling) AND unique_name IS NOT NULL;
INSERT INTO settle_lane SELECT DISTINCT lane, :now FROM jobs
    WHERE seq IN (SELECT seq FROM falling) AND lane IS NOT NULL;
INSERT INTO ready_by SELECT DISTINCT :cause, lane, owner, unique_name FROM jobs
    WHERE seq IN (SELECT seq FROM falling) AND (lane IS NOT NULL OR unique_name IS NOT NULL);

-- name: ready_by(cause, lane, owner, unique_name)
-- Note the kinds that a lane or a unique name lets through.
INSERT INTO effect SELECT DISTINCT :cause, kind, NULL FROM jobs
    WHERE lane = :lane AND lane IS NOT NULL AND state = 'available' AND gate = 0;
INSERT INTO effect SELECT DISTINCT :cause, kind, NULL FROM jobs
    WHERE owner = :owner AND unique_name = :unique_name AND unique_name IS NOT NULL
        AND ended IS NULL AND state = 'available' AND gate = 0;
