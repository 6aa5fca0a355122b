-- each: claim(node, worker, kinds, most, now, most_bytes)
-- Give up to `most` available jobs to a worker.
INSERT INTO settle_lane SELECT name, :now FROM lanes WHERE next <= :now;
DELETE FROM taking;
INSERT INTO taking (seq, lane, priority, size)
    SELECT j.seq, j.lane, j.priority, CASE WHEN j.parents = 0 THEN j.size ELSE j.size + (
            SELECT coalesce(sum(length(CAST(p.result AS BLOB))), 0) FROM links AS l
            CROSS JOIN jobs AS p ON p.seq = l.parent WHERE l.child = j.seq
        ) END
    FROM json_each(:kinds) AS k
    CROSS JOIN jobs AS j ON j.seq IN (
        SELECT f.seq FROM jobs AS f
        WHERE f.kind = json_extract(k.value, '$[0]') AND f.state = 'available' AND f.gate = 0
            AND (f.begin_by IS NULL OR f.begin_by > :now)
        ORDER BY f.priority DESC, f.seq LIMIT :most
    )
    WHERE NOT EXISTS (SELECT 1 FROM paused AS p WHERE p.task = json_extract(k.value, '$[1]'))
    ORDER BY j.priority DESC, j.seq LIMIT :most;
INSERT INTO result SELECT :i,
    CASE WHEN EXISTS (SELECT 1 FROM taking WHERE lane IS NOT NULL OR size > 0)
            OR (SELECT sum(length(CAST(json AS BLOB))) FROM result) > :most_bytes
                AND EXISTS (SELECT 1 FROM taking)
        THEN 'true' ELSE 'false' END;
INSERT INTO take_fewer SELECT :most_bytes FROM result WHERE i = :i AND json = 'true';
UPDATE jobs SET state = 'running', attempt = attempt + 1, runs = runs + 1,
        worker = :worker, node = :node, started = :now
    WHERE seq IN (SELECT seq FROM taking);
INSERT INTO count_in_lanes SELECT :now FROM result WHERE i = :i AND json = 'true';
UPDATE result SET json = '{"more":' || json || ',"rows":[' || coalesce((
        SELECT group_concat(r.row) FROM taking AS t CROSS JOIN claimed_rows AS r ON r.seq = t.seq
    ), '') || ']}' WHERE i = :i;

-- name: take_fewer(most_bytes)
-- Leave some of `taking`.
-- A lane lets each kind through by itself; all together must not be too many.
DELETE FROM taking WHERE n IN (
    SELECT t.n FROM (
        SELECT n, lane, row_number() OVER (PARTITION BY lane ORDER BY n) AS place
        FROM taking WHERE lane IS NOT NULL
    ) AS t CROSS JOIN lanes AS l ON l.name = t.lane WHERE t.place > l.room
);
-- Nor too large, each time and all in one answer.
DELETE FROM taking WHERE (SELECT sum(length(CAST(json AS BLOB))) FROM result) > :most_bytes;
DELETE FROM taking WHERE n > 1 AND n IN (
    SELECT t.n FROM (SELECT n, sum(size) OVER (ORDER BY n) AS so_far FROM taking) AS t
    WHERE t.so_far > :most_bytes
) AND EXISTS (SELECT 1 FROM taking WHERE size > 0);

-- name: count_in_lanes(now)
-- What was taken runs in its lanes now.
UPDATE lanes SET
        running = running + (SELECT count(*) FROM taking AS t WHERE t.lane = lanes.name),
        arrival = CASE WHEN gap IS NULL THEN arrival ELSE max(arrival, :now)
            + gap * (SELECT count(*) FROM taking AS t WHERE t.lane = lanes.name) END
    WHERE name IN (SELECT lane FROM taking WHERE lane IS NOT NULL);
INSERT INTO settle_lane SELECT DISTINCT lane, :now FROM taking WHERE lane IS NOT NULL;

-- each: adopt(node, worker, held)
-- Let attempts that a worker says it has be this node's.
UPDATE jobs SET node = :node WHERE state = 'running' AND worker = :worker AND seq IN (
    SELECT j.seq FROM json_each(:held) AS h
    CROSS JOIN jobs AS j ON j.id = json_extract(h.value, '$[0]')
    WHERE j.attempt = json_extract(h.value, '$[1]')
);
INSERT INTO result SELECT :i, '[' || coalesce((
        SELECT group_concat(r.row) FROM json_each(:held) AS h
        CROSS JOIN jobs AS j ON j.id = json_extract(h.value, '$[0]')
        CROSS JOIN brief_rows AS r ON r.seq = j.seq
        WHERE j.state = 'running' AND j.attempt = json_extract(h.value, '$[1]')
            AND j.worker = :worker
    ), '') || ']';

-- name: orphans(verbs)
-- Take over all running jobs: with one process on the file, there is nobody else that has them.
UPDATE jobs SET node = (SELECT json_extract(value, '$.node') FROM json_each(:verbs)
        ORDER BY key DESC LIMIT 1)
    WHERE state = 'running';
INSERT INTO answer (json) SELECT '[' || group_concat(json) || ']' FROM (
    SELECT '[' || coalesce((
        SELECT group_concat(r.row) FROM jobs AS j CROSS JOIN brief_rows AS r ON r.seq = j.seq
        WHERE j.state = 'running'
    ), '') || ']' AS json FROM json_each(:verbs)
);
