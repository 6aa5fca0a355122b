-- name: succeed(i, id, attempt, worker, now, result)
-- End attempts that nothing waits behind, unless they are stale.
UPDATE jobs SET state = 'succeeded', worker = NULL, node = NULL, ended = told.now,
        result = told.result, failure = NULL
    FROM told WHERE jobs.id = told.id AND jobs.state = 'running' AND jobs.attempt = told.attempt
        AND jobs.worker = coalesce(told.worker, jobs.worker)
        AND jobs.lane IS NULL AND jobs.unique_name IS NULL
        AND NOT EXISTS (SELECT 1 FROM links AS l WHERE l.parent = jobs.seq);
-- The others.
SELECT json_group_array(i) FROM told WHERE NOT EXISTS (
    SELECT 1 FROM jobs AS j WHERE j.id = told.id AND j.state = 'running'
        AND j.attempt = told.attempt AND j.worker = coalesce(told.worker, j.worker)
        AND j.lane IS NULL AND j.unique_name IS NULL
        AND NOT EXISTS (SELECT 1 FROM links AS l WHERE l.parent = j.seq)
);

-- name: finish(verbs)
-- End attempts, unless they are stale, and let follow what waited for that.
DELETE FROM ending;
DELETE FROM effect;
-- The first end of an attempt stands; a second one in the same call finds the first.
INSERT OR IGNORE INTO ending
    -- Materialized: a value is written out anew for each look at it, and read anew.
    WITH each (key, value) AS MATERIALIZED (SELECT v.key, v.value FROM json_each(:verbs) AS v)
    SELECT i, seq, event, CASE event
            WHEN 'succeed' THEN 'succeeded' WHEN 'fail' THEN 'failed' WHEN 'cancel' THEN 'cancelled'
            WHEN 'release' THEN 'available'
            WHEN 'retry' THEN CASE WHEN at <= now THEN 'available' ELSE 'retryable' END END,
        now, at, json_extract(verb, '$.result'), json_extract(verb, '$.failure'),
        json_extract(verb, '$.outcome'), json_extract(verb, '$.error'),
        owner, kind, lane, unique_name
    FROM (
        SELECT v.key AS i, v.value AS verb, j.seq AS seq, CASE
                WHEN j.cancelling IS NOT NULL
                    AND json_extract(v.value, '$.event') IN ('retry', 'release') THEN 'cancel'
                ELSE json_extract(v.value, '$.event') END AS event,
            json_extract(v.value, '$.now') AS now, json_extract(v.value, '$.at') AS at,
            j.owner AS owner, j.kind AS kind, j.lane AS lane, j.unique_name AS unique_name
        FROM each AS v CROSS JOIN jobs AS j ON j.id = json_extract(v.value, '$.id')
        WHERE j.state = 'running' AND j.attempt = json_extract(v.value, '$.attempt')
            AND j.worker = coalesce(json_extract(v.value, '$.worker'), j.worker)
            AND j.node = coalesce(json_extract(v.value, '$.node'), j.node)
        ORDER BY v.key
    );
UPDATE jobs SET
        state = e.state,
        gate = CASE WHEN e.state <> 'available' THEN 0
            WHEN e.unique_name IS NOT NULL THEN 2 ELSE e.lane IS NOT NULL END,
        worker = NULL, node = NULL,
        ended = CASE WHEN e.state IN ('succeeded', 'failed', 'cancelled') THEN e.now END,
        runs = runs - (e.event = 'release'),
        due = CASE WHEN e.event = 'retry' THEN e.at ELSE due END,
        begin_by = CASE WHEN e.event = 'retry' THEN deadline ELSE begin_by END,
        result = CASE WHEN e.event = 'succeed' THEN coalesce(e.result, 'null') END,
        failure = CASE WHEN e.event IN ('fail', 'cancel') THEN e.failure END,
        history = CASE WHEN e.event = 'succeed' THEN history ELSE json_insert(
            CASE WHEN history IS NULL OR NOT json_valid(history) THEN '[]'
                WHEN json_array_length(history) >= 20 THEN json_remove(history, '$[0]')
                ELSE history END,
            '$[#]', json_object('number', attempt, 'worker', worker, 'started', started,
                'ended', e.now, 'outcome', e.outcome, 'error', e.error)) END
    FROM ending AS e WHERE jobs.seq = +e.seq;
INSERT INTO free_children
    SELECT e.i, e.seq, e.now FROM ending AS e
    WHERE e.state = 'succeeded' AND EXISTS (SELECT 1 FROM links AS l WHERE l.parent = e.seq);
INSERT INTO fail_children
    SELECT e.i, e.seq, e.now FROM ending AS e
    WHERE e.state IN ('failed', 'cancelled')
        AND EXISTS (SELECT 1 FROM links AS l WHERE l.parent = e.seq);
UPDATE lanes SET running = running - c.gone FROM (
        SELECT lane, count(*) AS gone FROM ending WHERE lane IS NOT NULL GROUP BY lane
    ) AS c WHERE lanes.name = c.lane;
INSERT INTO settle_unique
    SELECT owner, unique_name, max(now) FROM ending WHERE unique_name IS NOT NULL GROUP BY 1, 2;
INSERT INTO settle_lane
    SELECT lane, max(now) FROM ending WHERE lane IS NOT NULL GROUP BY lane;
INSERT INTO ready_by
    SELECT max(i), lane, NULL, NULL FROM ending WHERE lane IS NOT NULL GROUP BY lane;
INSERT INTO ready_by
    SELECT max(i), NULL, owner, unique_name FROM ending
    WHERE unique_name IS NOT NULL GROUP BY owner, unique_name;
INSERT INTO effect
    SELECT i, kind, NULL FROM ending
    WHERE state = 'available' AND lane IS NULL AND unique_name IS NULL;
INSERT INTO answer (json) SELECT '[' || coalesce(group_concat(json), '') || ']' FROM (
    SELECT CASE
        WHEN e.i IS NULL THEN json_object('stands', json('false'), 'state', (
            SELECT j.state FROM jobs AS j WHERE j.id = json_extract(v.value, '$.id')))
        WHEN NOT EXISTS (SELECT 1 FROM effect)
            THEN '{"stands":true,"state":"' || e.state || '"}'
        ELSE json_object('stands', json('true'), 'state', e.state,
            'ready', (SELECT json_group_array(DISTINCT f.ready) FROM effect AS f
                WHERE f.cause = e.i AND f.ready IS NOT NULL),
            'ended', (SELECT json_group_array(f.ended) FROM effect AS f
                WHERE f.cause = e.i AND f.ended IS NOT NULL)) END AS json
    FROM json_each(:verbs) AS v LEFT JOIN ending AS e ON e.i = v.key ORDER BY v.key
);

-- each: cancel(id, owner, reason, now)
-- Stop a job: at once when it does not run.
INSERT INTO cancel_job SELECT :i, j.seq, :reason, :now FROM jobs AS j
    WHERE j.seq = (SELECT n.seq FROM names AS n WHERE n.id = :id)
        AND j.owner = coalesce(:owner, j.owner);

-- name: cancel_job(i, seq, reason, now)
-- The same for the one that it is.
DELETE FROM effect;
DELETE FROM falling;
INSERT INTO falling SELECT seq FROM jobs
    WHERE seq = :seq AND state IN ('scheduled', 'available', 'retryable');
UPDATE jobs SET cancelling = coalesce(cancelling, :reason) WHERE seq = :seq AND ended IS NULL;
UPDATE jobs SET state = 'cancelled', gate = 0, ended = :now
    WHERE seq = :seq AND state IN ('scheduled', 'available', 'retryable');
INSERT INTO settle_falling VALUES (:i, :now);
INSERT INTO fail_children SELECT :i, :seq, :now FROM falling;
INSERT INTO result SELECT :i, '{"record":' || r.row
        || ',"ended":' || (SELECT json_group_array(ended) FROM effect WHERE ended IS NOT NULL)
        || ',"ready":'
        || (SELECT json_group_array(DISTINCT ready) FROM effect WHERE ready IS NOT NULL) || '}'
    FROM full_rows AS r WHERE r.seq = :seq;

-- each: revive(id, owner, now)
-- Make an ended job available again.
INSERT INTO revive_job SELECT :i, j.seq, :now FROM jobs AS j
    WHERE j.seq = (SELECT n.seq FROM names AS n WHERE n.id = :id)
        AND j.owner = coalesce(:owner, j.owner);

-- name: revive_job(i, seq, now)
-- The same for the one that it is, unless a parent of it has failed or is no more.
DELETE FROM effect;
INSERT INTO result SELECT :i, 'null' FROM jobs
    WHERE seq = :seq AND state IN ('failed', 'cancelled');
DELETE FROM rising;
INSERT INTO rising SELECT seq FROM jobs
    WHERE seq = :seq AND state IN ('failed', 'cancelled') AND NOT EXISTS (
        SELECT 1 FROM links AS l LEFT JOIN jobs AS p ON p.seq = l.parent
        WHERE l.child = :seq AND coalesce(p.state, 'failed') IN ('failed', 'cancelled')
    );
UPDATE jobs SET
        state = 'available', runs = 0, worker = NULL, node = NULL, started = NULL, ended = NULL,
        cancelling = NULL, result = NULL, failure = NULL, delivered = 0, due = :now,
        deadline = :now + timeout,
        begin_by = CASE WHEN expires IS NULL THEN :now + timeout
            ELSE min(coalesce(:now + timeout, 1e300), :now + expires) END,
        waits_for = missing,
        gate = CASE WHEN missing > 0 THEN 3 WHEN unique_name IS NOT NULL THEN 2
            ELSE lane IS NOT NULL END
    FROM (
        SELECT count(*) AS missing FROM links AS l CROSS JOIN jobs AS p ON p.seq = l.parent
        WHERE l.child = :seq AND p.state <> 'succeeded'
    ) WHERE jobs.seq IN (SELECT seq FROM rising);
INSERT INTO settle_rising VALUES (:i, :now);
UPDATE result SET json = (SELECT r.row FROM full_rows AS r WHERE r.seq = :seq) WHERE i = :i;
