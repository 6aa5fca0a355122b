-- What the other functions have in common. All of them are made anew for each connection, so that
-- queue processes of different versions may work on one database.

-- A job as in rows.py, with payloads or without them.
CREATE FUNCTION pg_temp.job_row(j jobs, whole boolean) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT json_build_array(
        j.id, j.owner, j.task, j.state, j.options, j.meta, j.created, j.due, j.deadline, j.attempt,
        j.runs, j.priority, j.worker, j.node, j.started, j.ended, j.cancelling, j.failure,
        '[' || array_to_string(j.history, ',') || ']', j.reply_to, j.waits_for, j.delivered,
        j.person, j.teller, CASE WHEN whole THEN j.args END, CASE WHEN whole THEN j.kwargs END,
        CASE WHEN whole THEN j.result END
    )::text
$$;

-- A job that was claimed just now, as in rows.py.
CREATE FUNCTION pg_temp.claimed_row(j jobs) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT json_build_array(
        j.id, j.attempt, j.owner, j.task, j.options, j.meta, j.created, j.due, j.deadline, j.runs,
        j.priority, '[' || array_to_string(j.history, ',') || ']', j.reply_to, j.person, j.teller,
        j.args, j.kwargs,
        CASE WHEN j.parents > 0 THEN pg_temp.results_before(j.seq) END
    )::text
$$;

-- The results of the jobs that a job came after. More than 16 MiB cannot be carried: a number then.
CREATE FUNCTION pg_temp.results_before(of bigint) RETURNS json LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN sum(length(p.result)) > 16777216 THEN to_json(sum(length(p.result)))
        ELSE json_agg(p.result ORDER BY l.position) END
    FROM links AS l LEFT JOIN jobs AS p ON p.seq = l.parent WHERE l.child = of
$$;

-- How many bytes those results are.
CREATE FUNCTION pg_temp.size_before(of bigint) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT coalesce(sum(octet_length(p.result)), 0)
    FROM links AS l JOIN jobs AS p ON p.seq = l.parent WHERE l.child = of
$$;

-- The job that has an id, its own or another one that it is known by.
CREATE FUNCTION pg_temp.seq_of(wanted text) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT coalesce(
        (SELECT j.seq FROM jobs AS j WHERE j.id = wanted),
        (SELECT a.seq FROM aliases AS a WHERE a.id = wanted)
    )
$$;

-- What its children are told of a job that has not succeeded.
CREATE FUNCTION pg_temp.parent_failure(of bigint) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    j jobs;
    why text;
BEGIN
    SELECT * INTO j FROM jobs WHERE seq = of;
    why := 'failed';
    IF j.state = 'cancelled' THEN
        why := 'was cancelled' || coalesce(': ' || nullif(j.cancelling, ''), '');
    ELSIF j.failure IS NOT NULL THEN
        BEGIN
            why := 'failed: ' || (j.failure::jsonb ->> 'type')
                || coalesce(': ' || nullif(left(j.failure::jsonb ->> 'message', 2000), ''), '');
        EXCEPTION WHEN data_exception THEN
            why := 'failed';  -- with words that PostgreSQL cannot take for JSON
        END;
    END IF;
    RETURN json_build_object('type', 'ParentFailed', 'code', 'parent',
        'message', format('job %s (%s) %s', j.id, j.task, why))::text;
END $$;

-- How many jobs of a lane may start now.
CREATE FUNCTION pg_temp.room(lane_name text, now float8) RETURNS int LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT greatest(0, least(
        4096,
        l.slots - (
            SELECT count(*) FROM jobs AS j
            WHERE j.lane = lane_name AND j.lane IS NOT NULL AND j.state = 'running'
        ),
        floor(least(4096, (now - greatest(l.arrival, now)) / l.gap + l.burst + 0.001))
    ))::int FROM lanes AS l WHERE l.name = lane_name), 4096)
$$;

-- The kinds of the jobs that wait in a lane, if it has room.
CREATE FUNCTION pg_temp.kinds_of_lane(lane_name text, now float8) RETURNS SETOF text
LANGUAGE plpgsql STABLE AS $$
DECLARE
    last text := '';
BEGIN
    IF pg_temp.room(lane_name, now) < 1 THEN
        RETURN;
    END IF;
    LOOP
        SELECT j.kind INTO last FROM jobs AS j
            WHERE j.lane = lane_name AND j.lane IS NOT NULL AND j.state = 'available'
                AND j.waits_for = 0 AND j.kind > last
            ORDER BY j.lane, j.kind LIMIT 1;
        EXIT WHEN NOT FOUND;
        RETURN NEXT last;
    END LOOP;
END $$;

-- The kinds of all jobs that wait for a worker, or behind a limit.
CREATE FUNCTION pg_temp.kinds() RETURNS SETOF text LANGUAGE plpgsql STABLE AS $$
DECLARE
    last text := '';
BEGIN
    LOOP
        SELECT least(
            (SELECT j.kind FROM jobs AS j WHERE j.kind > last AND j.state = 'available'
                AND j.waits_for = 0 AND NOT j.limited ORDER BY j.kind LIMIT 1),
            (SELECT j.kind FROM jobs AS j WHERE j.kind > last AND j.state = 'available'
                AND j.waits_for = 0 AND j.limited ORDER BY j.kind LIMIT 1)
        ) INTO last;
        EXIT WHEN last IS NULL;
        RETURN NEXT last;
    END LOOP;
END $$;

-- Who runs under a unique name.
CREATE FUNCTION pg_temp.runs_unique(of text, name text) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM jobs AS r WHERE r.owner = of AND r.unique_name = name
            AND r.unique_name IS NOT NULL AND r.ended IS NULL AND r.state = 'running'
    )
$$;

-- A job has succeeded: those that waited for it alone become available, or wait for their time.
CREATE FUNCTION pg_temp.free_children(cause int, of bigint, now float8) RETURNS effect[]
LANGUAGE plpgsql AS $$
DECLARE
    fx effect[];
BEGIN
    WITH freed AS (
        UPDATE jobs AS c SET
            waits_for = c.waits_for - l.n,
            due = CASE WHEN c.waits_for = l.n THEN greatest(c.due, now) ELSE c.due END,
            begin_by = CASE WHEN c.waits_for = l.n
                THEN least(c.deadline, greatest(c.due, now) + c.expires)
                ELSE c.begin_by END,
            state = CASE WHEN c.waits_for = l.n AND c.state = 'scheduled' AND c.due <= now
                THEN 'available' ELSE c.state END
        FROM (
            SELECT child, count(*) AS n FROM links WHERE parent = of GROUP BY child ORDER BY child
        ) AS l
        WHERE c.seq = l.child AND c.ended IS NULL AND c.waits_for > 0
        RETURNING c.kind, c.state, c.waits_for
    )
    SELECT array_agg(DISTINCT (cause, kind, NULL)::effect) INTO fx FROM freed
        WHERE waits_for = 0 AND state = 'available';
    RETURN coalesce(fx, '{}');
END $$;

-- A job has failed or was cancelled: so have all that were to come after it, and after those.
CREATE FUNCTION pg_temp.fail_children(cause int, of bigint, now float8) RETURNS effect[]
LANGUAGE plpgsql AS $$
DECLARE
    fx effect[] := '{}';
    generation bigint[] := ARRAY[of];
    why text;
    ids text[];
BEGIN
    LOOP
        EXIT WHEN NOT EXISTS (SELECT FROM links WHERE parent = ANY (generation));
        why := coalesce(why, pg_temp.parent_failure(of));
        WITH fallen AS (
            UPDATE jobs AS c SET state = 'failed', ended = now, failure = why
            FROM (
                SELECT DISTINCT child FROM links WHERE parent = ANY (generation) ORDER BY child
            ) AS l
            WHERE c.seq = l.child AND c.ended IS NULL AND c.state <> 'running'
            RETURNING c.seq, c.id
        )
        SELECT array_agg(seq), array_agg(id) INTO generation, ids FROM fallen;
        EXIT WHEN generation IS NULL;
        fx := fx || ARRAY(SELECT (cause, NULL, id)::effect FROM unnest(ids) AS id);
    END LOOP;
    RETURN fx;
END $$;

-- A job that had a lane or a unique name runs or waits no more: what it leaves room for.
CREATE FUNCTION pg_temp.ready_behind(
    cause int, lane_name text, of text, uniquely text, now float8
) RETURNS effect[] LANGUAGE sql STABLE AS $$
    SELECT ARRAY(
        SELECT (cause, kind, NULL)::effect FROM pg_temp.kinds_of_lane(lane_name, now) AS kind
            WHERE lane_name IS NOT NULL
        UNION
        SELECT (cause, w.kind, NULL)::effect FROM jobs AS w
            WHERE w.owner = of AND w.unique_name = uniquely AND w.unique_name IS NOT NULL
                AND w.ended IS NULL AND w.state = 'available' AND w.waits_for = 0
                AND NOT pg_temp.runs_unique(of, uniquely)
                AND (w.lane IS NULL OR pg_temp.room(w.lane, now) > 0)
    )
$$;

-- `"ready":[...],"ended":[...]` of what one verb has brought about.
CREATE FUNCTION pg_temp.effects(fx effect[], of int) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT format('"ready":%s,"ended":%s',
        coalesce(json_agg(DISTINCT f.ready) FILTER (WHERE f.ready IS NOT NULL), '[]'),
        coalesce(json_agg(f.ended) FILTER (WHERE f.ended IS NOT NULL), '[]'))
    FROM unnest(fx) AS f WHERE f.cause = of
$$;

-- Take one of 64 locks for each of these names, until the transaction ends; always in one order.
CREATE FUNCTION pg_temp.lock_names(names text[]) RETURNS void LANGUAGE sql AS $$
    SELECT pg_advisory_xact_lock(1784832623, bucket) FROM (
        SELECT DISTINCT hashtext(name) & 63 AS bucket FROM unnest(names) AS name ORDER BY 1
    ) AS buckets
$$;
