-- name: put_schedule(verbs)
-- Keep schedules.
DELETE FROM result;
INSERT INTO put_schedule_one SELECT key, value, json_extract(value, '$.name'),
        json_extract(value, '$.by') FROM json_each(:verbs);
INSERT INTO answer (json)
    SELECT '[' || group_concat(json) || ']' FROM (SELECT json FROM result ORDER BY i);

-- name: put_schedule_one(i, schedule, name, by)
-- Keep one, unless its name is another owner's.
INSERT INTO result SELECT :i, CASE WHEN :by IS NOT NULL AND EXISTS (
    SELECT 1 FROM schedules AS s WHERE s.name = :name AND s.owner <> :by
) THEN 'false' ELSE 'true' END;
INSERT INTO schedules SELECT :name, json_extract(:schedule, '$.owner'),
        json_extract(:schedule, '$.task'), json_extract(:schedule, '$.args'),
        json_extract(:schedule, '$.kwargs'), json_extract(:schedule, '$.options'),
        json_extract(:schedule, '$.cron'), json_extract(:schedule, '$.every'),
        json_extract(:schedule, '$.zone'), json_extract(:schedule, '$.missed'),
        json_extract(:schedule, '$.paused'), json_extract(:schedule, '$.next'),
        json_extract(:schedule, '$.last'), json_extract(:schedule, '$.problem'),
        json_extract(:schedule, '$.timeout')
    WHERE EXISTS (SELECT 1 FROM result AS r WHERE r.i = :i AND r.json = 'true')
    ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, task = excluded.task,
        args = excluded.args, kwargs = excluded.kwargs, options = excluded.options,
        cron = excluded.cron, every = excluded.every, zone = excluded.zone,
        missed = excluded.missed, paused = excluded.paused, next = excluded.next,
        last = coalesce(excluded.last, last), problem = excluded.problem,
        timeout = excluded.timeout;

-- name: drop_schedule(verbs)
-- Remove schedules.
DELETE FROM result;
INSERT INTO drop_schedule_one SELECT key, json_extract(value, '$.name'),
        json_extract(value, '$.owner') FROM json_each(:verbs);
INSERT INTO answer (json)
    SELECT '[' || group_concat(json) || ']' FROM (SELECT json FROM result ORDER BY i);

-- name: drop_schedule_one(i, name, owner)
-- Remove one that its owner may remove.
INSERT INTO result SELECT :i, CASE WHEN EXISTS (
    SELECT 1 FROM schedules AS s WHERE s.name = :name AND s.owner = coalesce(:owner, s.owner)
) THEN 'true' ELSE 'false' END;
DELETE FROM schedules WHERE name = :name AND owner = coalesce(:owner, owner);

-- name: schedules(verbs)
-- All schedules of an owner, or of everybody, by name.
INSERT INTO answer (json) SELECT '[' || group_concat(json) || ']' FROM (
    SELECT '[' || coalesce((
        SELECT group_concat(row) FROM (
            SELECT json_array(name, owner, task, args, kwargs, options, cron, every, zone, missed,
                json(CASE paused WHEN 0 THEN 'false' ELSE 'true' END), next, last, problem,
                timeout) AS row
            FROM schedules
            WHERE owner = coalesce(json_extract(v.value, '$.owner'), owner) ORDER BY name
        )
    ), '') || ']' AS json FROM json_each(:verbs) AS v ORDER BY v.key
);

-- name: fire(verbs)
-- Move schedules on whose time has come, if none did it before; what they submit is added next.
DELETE FROM result;
INSERT INTO fire_one SELECT key, json_extract(value, '$.name'), json_extract(value, '$.planned'),
        json_extract(value, '$.next'), json_extract(value, '$.problem'),
        json_extract(value, '$.fires') FROM json_each(:verbs);
INSERT INTO answer (json)
    SELECT '[' || group_concat(json) || ']' FROM (SELECT json FROM result ORDER BY i);

-- name: fire_one(i, name, planned, next, problem, fires)
-- The same for one. Times come back from JSON with 15 digits.
INSERT INTO result SELECT :i, CASE WHEN EXISTS (
    SELECT 1 FROM schedules AS s WHERE s.name = :name AND abs(s.next - :planned) < 0.001
) THEN 'true' ELSE 'false' END;
UPDATE schedules SET next = :next, problem = :problem,
        last = CASE WHEN :fires THEN :planned ELSE last END
    WHERE name = :name AND abs(next - :planned) < 0.001;
