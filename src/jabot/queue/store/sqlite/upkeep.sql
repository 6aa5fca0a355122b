-- name: delivered(verbs)
-- Note that submitters have the outcomes.
UPDATE jobs SET delivered = 1 WHERE delivered = 0 AND ended IS NOT NULL AND seq IN (
    SELECT (SELECT n.seq FROM names AS n WHERE n.id = d.value)
    FROM json_each(:verbs) AS v CROSS JOIN json_each(v.value, '$.ids') AS d
);
INSERT INTO answer (json) SELECT json_group_array(NULL) FROM json_each(:verbs);

-- each: pause(task, paused)
-- Start no jobs of a task any more, or again.
DELETE FROM paused WHERE task = :task;
INSERT INTO paused SELECT :task WHERE :paused;

-- each: due(now, most)
-- Bring what waited for its time to where it belongs.
DELETE FROM effect;
-- What was not begun in time.
DELETE FROM late;
INSERT INTO late SELECT seq, :now FROM jobs
    WHERE begin_by IS NOT NULL AND state IN ('scheduled', 'available', 'retryable')
        AND begin_by <= :now ORDER BY begin_by LIMIT :most;
UPDATE jobs SET state = 'failed', gate = 0, ended = :now,
        failure = CASE WHEN deadline <= :now
            THEN json_object('type', 'JobTimeout', 'code', 'timeout', 'message',
                'its time of ' || round(timeout, 3) || ' s was over before it had succeeded')
            ELSE json_object('type', 'Expired', 'code', 'expired', 'message',
                'not begun within ' || round(expires, 3) || ' s of when it was due') END
    WHERE seq IN (SELECT seq FROM late);
INSERT INTO effect SELECT :i, NULL, j.id FROM late AS l CROSS JOIN jobs AS j ON j.seq = l.seq;
DELETE FROM falling;
INSERT INTO falling SELECT seq FROM late;
INSERT INTO settle_falling VALUES (:i, :now);
INSERT INTO fail_children SELECT :i, l.seq, :now FROM late AS l
    WHERE EXISTS (SELECT 1 FROM links AS k WHERE k.parent = l.seq);
-- What may begin now.
DELETE FROM rising;
INSERT INTO rising SELECT seq FROM jobs
    WHERE state IN ('scheduled', 'retryable') AND waits_for = 0 AND due <= :now
    ORDER BY due LIMIT :most;
UPDATE jobs SET state = 'available',
        gate = CASE WHEN unique_name IS NOT NULL THEN 2 ELSE lane IS NOT NULL END
    WHERE seq IN (SELECT seq FROM rising);
INSERT INTO settle_rising VALUES (:i, :now);
-- What the rates of lanes allow again.
INSERT INTO settle_lane_loudly SELECT :i, name, :now FROM lanes WHERE next <= :now;
INSERT INTO result SELECT :i, json_object(
    'ready', (SELECT json_group_array(DISTINCT ready) FROM effect WHERE ready IS NOT NULL),
    'ended', (SELECT json_group_array(ended) FROM effect WHERE ended IS NOT NULL),
    'next', (
        SELECT min(moment) FROM (
            SELECT (SELECT min(due) FROM jobs
                WHERE state IN ('scheduled', 'retryable') AND waits_for = 0) AS moment
            UNION ALL SELECT (SELECT min(begin_by) FROM jobs
                WHERE begin_by IS NOT NULL AND state IN ('scheduled', 'available', 'retryable'))
            UNION ALL SELECT (SELECT min(next) FROM lanes WHERE next IS NOT NULL)
        )
    )
);

-- name: settle_lane_loudly(cause, name, now)
-- Let through what a lane allows now, and note which kinds that are.
INSERT INTO settle_lane VALUES (:name, :now);
INSERT INTO ready_by VALUES (:cause, :name, NULL, NULL);

-- each: prune(now, delivered, undelivered, failed, most)
-- Forget jobs that ended long ago, and what nothing needs any more.
DELETE FROM keys WHERE (owner, key) IN (
    SELECT k.owner, k.key FROM keys AS k WHERE k.until <= :now ORDER BY k.until LIMIT :most);
DELETE FROM dropping;
INSERT INTO dropping
    WITH RECURSIVE tasks (task) AS (
        SELECT min(task) FROM jobs WHERE ended IS NOT NULL
        UNION ALL
        SELECT (SELECT min(j.task) FROM jobs AS j
            WHERE j.ended IS NOT NULL AND j.task > tasks.task)
        FROM tasks WHERE tasks.task IS NOT NULL
    ),
    over (state, delivered, ended) AS (
        VALUES ('succeeded', 1, :now - :delivered), ('succeeded', 0, :now - :undelivered),
            ('cancelled', 1, :now - :delivered), ('cancelled', 0, :now - :undelivered),
            ('failed', 1, :now - :failed), ('failed', 0, :now - :failed)
    )
    SELECT j.seq FROM tasks CROSS JOIN over AS o CROSS JOIN jobs AS j
        ON j.task = tasks.task AND j.state = o.state AND j.delivered = o.delivered
            AND j.ended IS NOT NULL AND j.ended <= o.ended
    WHERE tasks.task IS NOT NULL
        AND NOT EXISTS (
            SELECT 1 FROM links AS l CROSS JOIN jobs AS c ON c.seq = l.child
            WHERE l.parent = j.seq AND c.ended IS NULL)
        AND NOT EXISTS (SELECT 1 FROM keys AS k WHERE k.seq = j.seq)
    LIMIT :most;
INSERT INTO result SELECT :i, count(*) FROM dropping;
INSERT INTO drop_all VALUES (NULL);
DELETE FROM callers WHERE unfinished = 0;
DELETE FROM lanes WHERE running = 0 AND arrival <= :now
    AND NOT EXISTS (
        SELECT 1 FROM jobs AS j
        WHERE j.lane = lanes.name AND j.lane IS NOT NULL AND j.ended IS NULL);

-- name: drop_all(any)
-- Delete the jobs in `dropping`.
DELETE FROM aliases WHERE id IN (
    SELECT a.id FROM dropping AS d CROSS JOIN aliases AS a ON a.seq = d.seq);
DELETE FROM keys WHERE (owner, key) IN (
    SELECT k.owner, k.key FROM dropping AS d CROSS JOIN keys AS k ON k.seq = d.seq);
DELETE FROM links WHERE child IN (SELECT seq FROM dropping);
DELETE FROM payloads WHERE seq IN (SELECT seq FROM dropping);
DELETE FROM jobs WHERE seq IN (SELECT seq FROM dropping);

-- each: purge(verb)
-- Delete the ended jobs that a filter fits.
INSERT INTO count_one VALUES (:i, :verb);
INSERT INTO drop_all VALUES (NULL);

-- each: count(verb)
-- How many ended jobs a filter fits, of those that may be deleted: they are in `dropping` then.
DELETE FROM dropping;
INSERT INTO fitting VALUES (:verb);
INSERT INTO result SELECT :i, count(*) FROM dropping;

-- name: fitting(filter)
-- Put up to `most` jobs that a filter fits into `dropping`, the newest first.
INSERT INTO dropping SELECT j.seq FROM jobs AS j
    WHERE j.seq < coalesce((
            SELECT b.seq FROM jobs AS b WHERE b.id = json_extract(:filter, '$.before')
        ), CASE WHEN json_extract(:filter, '$.before') IS NULL THEN 9223372036854775807 ELSE 0 END)
        AND j.seq > coalesce(
            (SELECT max(n.seq) FROM jobs AS n) - json_extract(:filter, '$.within'), 0)
        AND j.owner = coalesce(json_extract(:filter, '$.owner'), j.owner)
        AND j.task = coalesce(json_extract(:filter, '$.task'), j.task)
        AND (json_extract(:filter, '$.states') IS NULL
            OR j.state IN (SELECT s.value FROM json_each(:filter, '$.states') AS s))
        AND (json_extract(:filter, '$.ended_before') IS NULL
            OR j.ended < json_extract(:filter, '$.ended_before'))
        AND (json_extract(:filter, '$.ended') IS NULL OR (j.ended IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM links AS l CROSS JOIN jobs AS c ON c.seq = l.child
            WHERE l.parent = j.seq AND c.ended IS NULL)))
        AND (json_extract(:filter, '$.ending') IS NULL
            OR lower(substr(j.id, -length(json_extract(:filter, '$.ending'))))
                = json_extract(:filter, '$.ending'))
        AND (json_extract(:filter, '$.labels') IS NULL OR NOT EXISTS (
            SELECT 1 FROM json_each(:filter, '$.labels') AS w
            WHERE NOT EXISTS (
                SELECT 1 FROM json_each(
                    CASE WHEN json_valid(j.options) THEN j.options ELSE '{}' END, '$.labels') AS h
                WHERE h.key = json_extract(w.value, '$[0]')
                    AND h.value = json_extract(w.value, '$[1]'))))
    ORDER BY j.seq DESC LIMIT json_extract(:filter, '$.most');
