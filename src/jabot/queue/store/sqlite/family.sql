-- name: free_children(cause, parent, now)
-- A job has succeeded: those that waited for it alone become available, or wait for their time.
UPDATE jobs SET waits_for = waits_for - (
        SELECT count(*) FROM links AS l WHERE l.parent = :parent AND l.child = jobs.seq
    ) WHERE seq IN (SELECT child FROM links WHERE parent = :parent)
        AND ended IS NULL AND waits_for > 0;
DELETE FROM rising;
INSERT INTO rising SELECT DISTINCT j.seq FROM links AS l CROSS JOIN jobs AS j ON j.seq = l.child
    WHERE l.parent = :parent AND j.ended IS NULL AND j.waits_for = 0
        AND j.state IN ('scheduled', 'available');
UPDATE jobs SET due = max(due, :now), begin_by = CASE
        WHEN expires IS NULL THEN deadline
        ELSE min(coalesce(deadline, 1e300), max(due, :now) + expires) END
    WHERE seq IN (SELECT seq FROM rising);
DELETE FROM rising WHERE seq IN (
    SELECT j.seq FROM rising AS r CROSS JOIN jobs AS j ON j.seq = r.seq WHERE j.due > :now);
UPDATE jobs SET state = 'available',
        gate = CASE WHEN unique_name IS NOT NULL THEN 2 ELSE lane IS NOT NULL END
    WHERE seq IN (SELECT seq FROM rising);
INSERT INTO settle_rising VALUES (:cause, :now);

-- name: fail_children(cause, parent, now)
-- A job has failed or was cancelled: so have all that were to come after it, and after those.
DELETE FROM falling;
INSERT INTO falling
    WITH RECURSIVE down (seq) AS (
        SELECT l.child FROM links AS l CROSS JOIN jobs AS j ON j.seq = l.child
        WHERE l.parent = :parent AND j.ended IS NULL AND j.state <> 'running'
        UNION
        SELECT l.child FROM down CROSS JOIN links AS l ON l.parent = down.seq
            CROSS JOIN jobs AS j ON j.seq = l.child
        WHERE j.ended IS NULL AND j.state <> 'running'
    )
    SELECT seq FROM down;
UPDATE jobs SET state = 'failed', gate = 0, ended = :now, failure = (
        SELECT json_object('type', 'ParentFailed', 'code', 'parent', 'message', p.why)
        FROM why_failed AS p WHERE p.seq = :parent
    ) WHERE seq IN (SELECT seq FROM falling);
INSERT INTO effect SELECT :cause, NULL, j.id
    FROM falling AS f CROSS JOIN jobs AS j ON j.seq = f.seq;
