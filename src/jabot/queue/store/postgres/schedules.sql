-- Keep schedules, unless a name is another owner's.
CREATE FUNCTION pg_temp.put_schedule(verbs text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    kept boolean[] := '{}';
    v record;
BEGIN
    FOR v IN SELECT e.*, e."by" AS who FROM json_to_recordset(verbs::json) AS e (
        name text, owner text, task text, args text, kwargs text, options text, cron text,
        every float8, zone text, missed text, paused boolean, next float8, last float8,
        problem text, timeout float8, "by" text
    ) LOOP
        INSERT INTO schedules AS s VALUES (
            v.name, v.owner, v.task, v.args, v.kwargs, v.options, v.cron, v.every, v.zone,
            v.missed, v.paused, v.next, v.last, v.problem, v.timeout
        )
        ON CONFLICT (name) DO UPDATE SET
            owner = excluded.owner, task = excluded.task, args = excluded.args,
            kwargs = excluded.kwargs, options = excluded.options, cron = excluded.cron,
            every = excluded.every, zone = excluded.zone, missed = excluded.missed,
            paused = excluded.paused, next = excluded.next,
            last = coalesce(excluded.last, s.last),
            problem = excluded.problem, timeout = excluded.timeout
        WHERE v.who IS NULL OR s.owner = v.who;
        kept := kept || FOUND;
    END LOOP;
    RETURN array_to_json(kept);
END $$;

-- Remove schedules that their owners may remove.
CREATE FUNCTION pg_temp.drop_schedule(verbs text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    dropped boolean[] := '{}';
    v record;
BEGIN
    FOR v IN SELECT * FROM json_to_recordset(verbs::json) AS v (name text, owner text) LOOP
        DELETE FROM schedules AS s
            WHERE s.name = v.name AND (v.owner IS NULL OR s.owner = v.owner);
        dropped := dropped || FOUND;
    END LOOP;
    RETURN array_to_json(dropped);
END $$;

-- All schedules of an owner, or of everybody, by name.
CREATE FUNCTION pg_temp.schedules(verbs text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT '[' || string_agg((
        SELECT coalesce(json_agg(json_build_array(
            s.name, s.owner, s.task, s.args, s.kwargs, s.options, s.cron, s.every, s.zone,
            s.missed, s.paused, s.next, s.last, s.problem, s.timeout
        ) ORDER BY s.name), '[]')
        FROM schedules AS s WHERE v ->> 'owner' IS NULL OR s.owner = v ->> 'owner'
    )::text, ',') || ']'
    FROM json_array_elements(verbs::json) AS v
$$;

-- Move schedules on whose time has come, if none did it before; what they submit is added next.
CREATE FUNCTION pg_temp.fire(verbs text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    mine boolean[] := '{}';
    v record;
BEGIN
    FOR v IN SELECT * FROM json_to_recordset(verbs::json)
        AS v (name text, planned float8, next float8, problem text, fires boolean)
    LOOP
        UPDATE schedules AS s SET next = v.next, problem = v.problem,
                last = CASE WHEN v.fires THEN v.planned ELSE s.last END
            WHERE s.name = v.name AND s.next = v.planned;
        mine := mine || FOUND;
    END LOOP;
    RETURN array_to_json(mine);
END $$;
