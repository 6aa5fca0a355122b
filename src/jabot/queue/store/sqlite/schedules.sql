-- each: put_schedule(name, owner, task, args, kwargs, options, cron, every, zone, missed, paused, next, last, problem, timeout, by)
-- Keep a schedule, unless its name is another owner's.
INSERT INTO result SELECT :i, CASE WHEN :by IS NOT NULL AND EXISTS (
    SELECT 1 FROM schedules AS s WHERE s.name = :name AND s.owner <> :by
) THEN 'false' ELSE 'true' END;
INSERT INTO schedules
    SELECT :name, :owner, :task, :args, :kwargs, :options, :cron, :every, :zone, :missed, :paused,
        :next, :last, :problem, :timeout
    WHERE EXISTS (SELECT 1 FROM result AS r WHERE r.i = :i AND r.json = 'true')
    ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, task = excluded.task,
        args = excluded.args, kwargs = excluded.kwargs, options = excluded.options,
        cron = excluded.cron, every = excluded.every, zone = excluded.zone,
        missed = excluded.missed, paused = excluded.paused, next = excluded.next,
        last = coalesce(excluded.last, last), problem = excluded.problem,
        timeout = excluded.timeout;

-- each: drop_schedule(name, owner)
-- Remove a schedule that its owner may remove.
INSERT INTO result SELECT :i, CASE WHEN EXISTS (
    SELECT 1 FROM schedules AS s WHERE s.name = :name AND s.owner = coalesce(:owner, s.owner)
) THEN 'true' ELSE 'false' END;
DELETE FROM schedules WHERE name = :name AND owner = coalesce(:owner, owner);

-- each: schedules(owner)
-- All schedules of an owner, or of everybody, by name.
INSERT INTO result SELECT :i, '[' || coalesce((
        SELECT group_concat(row) FROM (
            SELECT json_array(name, owner, task, args, kwargs, options, cron, every, zone, missed,
                json(CASE paused WHEN 0 THEN 'false' ELSE 'true' END), next, last, problem,
                timeout) AS row
            FROM schedules WHERE owner = coalesce(:owner, owner) ORDER BY name
        )
    ), '') || ']';

-- each: fire(name, planned, next, problem, fires)
-- Move a schedule on whose time has come, if none did it before; what it submits is added next.
-- Times come back from JSON with 15 digits.
INSERT INTO result SELECT :i, CASE WHEN EXISTS (
    SELECT 1 FROM schedules AS s WHERE s.name = :name AND abs(s.next - :planned) < 0.001
) THEN 'true' ELSE 'false' END;
UPDATE schedules SET next = :next, problem = :problem,
        last = CASE WHEN :fires THEN :planned ELSE last END
    WHERE name = :name AND abs(next - :planned) < 0.001;
