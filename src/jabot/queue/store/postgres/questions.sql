-- Jobs with their results, and who is to hear of their outcome from now on.
CREATE FUNCTION pg_temp.look(verbs text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    UPDATE jobs AS j SET reply_to = v.reply_to FROM (
        SELECT DISTINCT ON (w.id) w.seq, e.owner, e.reply_to
        FROM ROWS FROM (json_to_recordset(verbs::json) AS (id text, owner text, reply_to text))
            WITH ORDINALITY AS e (id, owner, reply_to, i)
            JOIN jobs AS w ON w.seq = pg_temp.seq_of(e.id)
        WHERE e.reply_to <> '' AND (e.owner IS NULL OR w.owner = e.owner) ORDER BY w.id, e.i DESC
    ) AS v
    WHERE j.seq = v.seq AND j.reply_to <> v.reply_to;
    RETURN pg_temp.peek(verbs);
END $$;

-- Jobs with their results.
CREATE FUNCTION pg_temp.peek(verbs text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT '[' || string_agg(coalesce((
        SELECT pg_temp.job_row(j, true) FROM jobs AS j
        WHERE j.seq = pg_temp.seq_of(v.id) AND (v.owner IS NULL OR j.owner = v.owner)
    ), 'null'), ',' ORDER BY v.i) || ']'
    FROM ROWS FROM (json_to_recordset(verbs::json) AS (id text, owner text))
        WITH ORDINALITY AS v (id, owner, i)
$$;

-- Whether a job has all of these labels. Its options may be broken.
CREATE FUNCTION pg_temp.has_labels(options text, wanted json) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    labels json;
BEGIN
    IF position('"labels":' IN options) = 0 THEN
        RETURN false;
    END IF;
    IF position('\u0000' IN options) > 0 THEN  -- as `escaped` in connection.py
        options := regexp_replace(
            options, '(?<!\\)((?:\\\\)*)\\u0000', '\1' || chr(983040) || '0', 'g');
    END IF;
    labels := options::json -> 'labels';
    RETURN NOT EXISTS (
        SELECT FROM json_array_elements(wanted) AS w
        WHERE (labels ->> (w ->> 0)) IS DISTINCT FROM w ->> 1
    );
EXCEPTION WHEN data_exception THEN
    RETURN false;
END $$;

-- Up to `most` jobs that a filter fits, the newest first.
CREATE FUNCTION pg_temp.fitting(filter json) RETURNS TABLE (seq bigint) LANGUAGE plpgsql STABLE AS $$
DECLARE
    top bigint := 9223372036854775807;
    wanted_owner text := filter ->> 'owner';
    wanted_task text := filter ->> 'task';
    wanted_labels json := CASE WHEN filter ->> 'labels' IS NOT NULL THEN filter -> 'labels' END;
    ended_before float8 := filter ->> 'ended_before';
    ending text := filter ->> 'ending';
    bottom bigint := 0;
    wanted_states text[];
BEGIN
    IF filter ->> 'before' IS NOT NULL THEN
        top := coalesce((SELECT b.seq FROM jobs AS b WHERE b.id = filter ->> 'before'), 0);
    END IF;
    IF filter ->> 'states' IS NOT NULL THEN
        wanted_states := ARRAY(SELECT json_array_elements_text(filter -> 'states'));
    END IF;
    IF filter ->> 'within' IS NOT NULL THEN
        bottom := (SELECT max(n.seq) FROM jobs AS n) - (filter ->> 'within')::bigint;
    END IF;
    RETURN QUERY SELECT j.seq FROM jobs AS j
        WHERE j.seq < top AND j.seq > bottom
            AND (wanted_owner IS NULL OR j.owner = wanted_owner)
            AND (wanted_task IS NULL OR j.task = wanted_task)
            AND (wanted_states IS NULL OR j.state = ANY (wanted_states))
            AND (ended_before IS NULL OR j.ended < ended_before)
            AND (ending IS NULL OR lower(right(j.id, length(ending))) = ending)
            AND (filter ->> 'ended' IS NULL OR (j.ended IS NOT NULL AND NOT EXISTS (
                SELECT FROM links AS l JOIN jobs AS c ON c.seq = l.child
                WHERE l.parent = j.seq AND c.ended IS NULL)))
            AND (wanted_labels IS NULL OR pg_temp.has_labels(j.options, wanted_labels))
        ORDER BY j.seq DESC LIMIT (filter ->> 'most')::int;
END $$;

-- The jobs that a filter fits, the newest first.
CREATE FUNCTION pg_temp.list(verbs text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT '[' || string_agg('[' || coalesce((
        SELECT string_agg(pg_temp.job_row(j, false), ',' ORDER BY j.seq DESC)
        FROM pg_temp.fitting(v.filter) AS f JOIN jobs AS j ON j.seq = f.seq
    ), '') || ']', ',' ORDER BY v.i) || ']'
    FROM json_array_elements(verbs::json) WITH ORDINALITY AS v (filter, i)
$$;

-- How many ended jobs a filter fits, of those that may be deleted.
CREATE FUNCTION pg_temp.count(verbs text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT '[' || string_agg(
        (SELECT count(*) FROM pg_temp.fitting(v.filter))::text, ',' ORDER BY v.i) || ']'
    FROM json_array_elements(verbs::json) WITH ORDINALITY AS v (filter, i)
$$;

-- How the queue stands.
CREATE FUNCTION pg_temp.stats(verbs text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT '[' || string_agg(pg_temp.stats_once((v ->> 'now')::float8)::text, ',') || ']'
    FROM json_array_elements(verbs::json) AS v
$$;

CREATE FUNCTION pg_temp.stats_once(now float8) RETURNS json LANGUAGE plpgsql STABLE AS $$
DECLARE
    tasks text[] := ARRAY(SELECT DISTINCT task FROM tally ORDER BY task);
BEGIN
    RETURN json_build_object(
        'counts', ARRAY(
            SELECT json_build_array(task, state, sum(n)) FROM tally
            GROUP BY task, state HAVING sum(n) > 0),
        'oldest', ARRAY(
            SELECT json_build_array(t, now - o.due) FROM unnest(tasks) AS t, LATERAL (
                SELECT j.due FROM jobs AS j WHERE j.task = t AND j.state = 'available'
                ORDER BY j.due LIMIT 1
            ) AS o),
        'minute', ARRAY(
            SELECT json_build_array(t, o.n) FROM unnest(tasks) AS t, LATERAL (
                SELECT count(*) AS n FROM jobs AS j
                WHERE j.task = t AND j.ended IS NOT NULL AND j.ended > now - 60
            ) AS o WHERE o.n > 0),
        'samples', ARRAY(
            SELECT json_build_array(t, o.waited, o.ran) FROM unnest(tasks) AS t, LATERAL (
                SELECT greatest(0, j.started - j.due) AS waited,
                    greatest(0, j.ended - j.started) AS ran
                FROM jobs AS j
                WHERE j.task = t AND j.ended IS NOT NULL AND j.started IS NOT NULL
                ORDER BY j.ended DESC LIMIT 1000
            ) AS o),
        'kinds', ARRAY(SELECT pg_temp.kinds()),
        'paused', ARRAY(SELECT task FROM paused ORDER BY task),
        'lanes', ARRAY(
            SELECT json_build_array(l.name, l.slots, (
                    SELECT count(*) FROM jobs AS j
                    WHERE j.lane = l.name AND j.lane IS NOT NULL AND j.state = 'running'
                ), w.n, l.gap, CASE WHEN w.n > 0 AND l.arrival - (l.burst - 1) * l.gap > now
                    THEN l.arrival - (l.burst - 1) * l.gap END)
            FROM lanes AS l, LATERAL (
                SELECT count(*) AS n FROM jobs AS j
                WHERE j.lane = l.name AND j.lane IS NOT NULL AND j.state = 'available'
                    AND j.waits_for = 0
            ) AS w
            WHERE pg_temp.room(l.name, now) = 0 ORDER BY l.name LIMIT 1000)
    );
END $$;
