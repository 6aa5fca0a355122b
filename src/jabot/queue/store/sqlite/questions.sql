-- name: look(verbs)
-- Jobs with their results, and who is to hear of their outcome from now on.
INSERT INTO redirect
    SELECT (SELECT n.seq FROM names AS n WHERE n.id = json_extract(value, '$.id')),
        json_extract(value, '$.owner'), json_extract(value, '$.reply_to')
    FROM json_each(:verbs) WHERE json_extract(value, '$.reply_to') <> '';
INSERT INTO do_peek VALUES (:verbs);

-- name: redirect(seq, owner, reply_to)
-- Let another address hear of a job's outcome.
UPDATE jobs SET reply_to = :reply_to WHERE seq = :seq AND owner = coalesce(:owner, owner);

-- name: peek(verbs)
-- Jobs with their results.
INSERT INTO answer (json) SELECT '[' || group_concat(json) || ']' FROM (
    SELECT coalesce((
        SELECT r.row FROM jobs AS j CROSS JOIN full_rows AS r ON r.seq = j.seq
        WHERE j.seq = (SELECT n.seq FROM names AS n WHERE n.id = json_extract(v.value, '$.id'))
            AND j.owner = coalesce(json_extract(v.value, '$.owner'), j.owner)
    ), 'null') AS json FROM json_each(:verbs) AS v ORDER BY v.key
);

-- each: list(verb)
-- The jobs that a filter fits, the newest first.
DELETE FROM dropping;
INSERT INTO fitting VALUES (:verb);
INSERT INTO result SELECT :i, '[' || coalesce((
        SELECT group_concat(row) FROM (
            SELECT r.row AS row FROM dropping AS d CROSS JOIN brief_rows AS r ON r.seq = d.seq
            ORDER BY d.seq DESC
        )
    ), '') || ']';

-- each: stats(now)
-- How the queue stands.
INSERT INTO result
    WITH RECURSIVE
    tasks (task) AS (
        SELECT min(task) FROM jobs WHERE ended IS NOT NULL
        UNION ALL
        SELECT (SELECT min(j.task) FROM jobs AS j
            WHERE j.ended IS NOT NULL AND j.task > tasks.task)
        FROM tasks WHERE tasks.task IS NOT NULL
    ),
    available (task, n, due) AS (
        SELECT CASE instr(kind, ' ') WHEN 0 THEN kind ELSE substr(kind, 1, instr(kind, ' ') - 1) END,
            count(*), min(due)
        FROM jobs WHERE state = 'available' AND gate = 0 GROUP BY kind
    ),
    outcomes (state, delivered) AS (
        VALUES ('succeeded', 0), ('succeeded', 1), ('failed', 0), ('failed', 1),
            ('cancelled', 0), ('cancelled', 1)
    ),
    counts (task, state, n) AS (
        SELECT task, 'available', n FROM available
        UNION ALL
        SELECT task, 'available', count(*) FROM jobs
            WHERE state = 'available' AND gate > 0 GROUP BY task
        UNION ALL
        SELECT task, 'running', count(*) FROM jobs WHERE state = 'running' GROUP BY task
        UNION ALL
        SELECT task, state, count(*) FROM jobs
            WHERE state IN ('scheduled', 'retryable') GROUP BY task, state
        UNION ALL
        SELECT task, state, count(*) FROM jobs WHERE ended IS NOT NULL GROUP BY task, state
    )
    SELECT :i, json_object(
        'counts', json((SELECT json_group_array(json_array(task, state, n)) FROM counts)),
        'oldest', json((SELECT json_group_array(json_array(task, age)) FROM (
            SELECT task, max(:now - due) AS age FROM available GROUP BY task))),
        'minute', json((SELECT json_group_array(json_array(task, n)) FROM (
            SELECT t.task AS task, count(*) AS n FROM tasks AS t CROSS JOIN outcomes AS o
            CROSS JOIN jobs AS j ON j.task = t.task AND j.state = o.state
                AND j.delivered = o.delivered AND j.ended IS NOT NULL AND j.ended > :now - 60
            WHERE t.task IS NOT NULL GROUP BY t.task))),
        'samples', json((SELECT json_group_array(json_array(task, waited, ran)) FROM (
            SELECT j.task AS task, max(0, j.started - j.due) AS waited,
                max(0, j.ended - j.started) AS ran
            FROM tasks AS t CROSS JOIN jobs AS j ON j.seq IN (
                SELECT e.seq FROM outcomes AS o CROSS JOIN jobs AS e ON e.seq IN (
                    SELECT n.seq FROM jobs AS n
                    WHERE n.task = t.task AND n.state = o.state AND n.delivered = o.delivered
                        AND n.ended IS NOT NULL
                    ORDER BY n.ended DESC LIMIT 1000)
                WHERE e.started IS NOT NULL
                ORDER BY e.ended DESC LIMIT 1000)
            WHERE t.task IS NOT NULL))),
        'kinds', json((SELECT json_group_array(kind) FROM ready_kinds)),
        'paused', json((SELECT json_group_array(task) FROM paused)),
        'lanes', json((SELECT json_group_array(
                json_array(name, slots, running, waiting, gap, next)) FROM (
            SELECT l.name AS name, l.slots AS slots, l.running AS running, l.gap AS gap,
                l.next AS next, (
                    SELECT count(*) FROM jobs AS j
                    WHERE j.lane = l.name AND j.lane IS NOT NULL AND j.state = 'available'
                        AND j.gate <= 1) AS waiting
            FROM lanes AS l WHERE l.room = 0 ORDER BY l.name LIMIT 1000)))
    );
