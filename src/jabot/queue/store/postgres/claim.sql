-- Give available jobs to workers. Every function here answers with {"rows": [...], "more": ...}.
CREATE FUNCTION pg_temp.claim(verbs text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text := '';
    v record;
    open text[];
BEGIN
    FOR v IN SELECT * FROM json_to_recordset(verbs::json)
        AS v (
            node text, worker text, kinds json, most int, now float8, most_bytes bigint)
    LOOP
        IF NOT EXISTS (SELECT FROM nodes WHERE name = v.node) THEN
            INSERT INTO nodes (name) VALUES (v.node) ON CONFLICT DO NOTHING;
        END IF;
        open := ARRAY(
            SELECT k ->> 0 FROM json_array_elements(v.kinds) AS k
            WHERE NOT EXISTS (SELECT FROM paused AS p WHERE p.task = k ->> 1)
        );
        answer := answer || ',' || CASE
            WHEN v.most < 1 OR open = '{}' THEN '{"rows":[],"more":false}'
            WHEN octet_length(answer) > v.most_bytes THEN '{"rows":[],"more":true}'
            ELSE pg_temp.claim_free(v.node, v.worker, open, v.most, v.now, v.most_bytes) END;
    END LOOP;
    RETURN '[' || substr(answer, 2) || ']';
END $$;

-- For jobs that nothing limits; where there are others, or large ones, the careful way is taken.
CREATE FUNCTION pg_temp.claim_free(
    node_ text, worker_ text, kinds text[], most int, now float8, most_bytes bigint
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    chosen bigint[];
    taken int;
    answer text;
BEGIN
    IF EXISTS (
        SELECT FROM unnest(kinds) AS k WHERE EXISTS (
            SELECT FROM jobs AS j
            WHERE j.kind = k AND j.state = 'available' AND j.waits_for = 0 AND j.limited
        )
    ) OR (
        SELECT sum(j.size) > most_bytes FROM unnest(kinds) AS k CROSS JOIN LATERAL (
            SELECT octet_length(f.args) + octet_length(f.kwargs)
                + CASE WHEN f.parents = 0 THEN 0 ELSE pg_temp.size_before(f.seq) END AS size
            FROM jobs AS f
            WHERE f.kind = k AND f.state = 'available' AND f.waits_for = 0 AND NOT f.limited
                AND (f.begin_by IS NULL OR f.begin_by > now)
            ORDER BY f.priority DESC, f.seq LIMIT most
        ) AS j
    ) THEN
        RETURN pg_temp.claim_any(node_, worker_, kinds, most, now, most_bytes, NULL);
    END IF;
    IF cardinality(kinds) = 1 THEN
        WITH picked AS (
            SELECT j.seq FROM jobs AS j
            WHERE j.kind = kinds[1] AND j.state = 'available' AND j.waits_for = 0
                AND NOT j.limited AND (j.begin_by IS NULL OR j.begin_by > now)
            ORDER BY j.priority DESC, j.seq LIMIT most FOR UPDATE SKIP LOCKED
        ), given AS (
            UPDATE jobs AS j SET state = 'running', attempt = j.attempt + 1, runs = j.runs + 1,
                worker = worker_, node = node_, started = now
            FROM picked WHERE j.seq = picked.seq
            RETURNING j.priority, j.seq, pg_temp.claimed_row(j) AS made
        )
        SELECT string_agg(made, ',' ORDER BY priority DESC, seq) INTO answer FROM given;
        RETURN '{"more":false,"rows":[' || coalesce(answer, '') || ']}';
    END IF;
    -- The best of all kinds are found first, and no others locked.
    chosen := ARRAY(
        SELECT best.seq FROM unnest(kinds) AS k CROSS JOIN LATERAL (
            SELECT j.seq, j.priority FROM jobs AS j
            WHERE j.kind = k AND j.state = 'available' AND j.waits_for = 0 AND NOT j.limited
                AND (j.begin_by IS NULL OR j.begin_by > now)
            ORDER BY j.priority DESC, j.seq LIMIT most
        ) AS best ORDER BY best.priority DESC, best.seq LIMIT most
    );
    WITH picked AS (
        SELECT j.seq FROM jobs AS j
        WHERE j.seq = ANY (chosen) AND j.state = 'available' FOR UPDATE SKIP LOCKED
    ), given AS (
        UPDATE jobs AS j SET state = 'running', attempt = j.attempt + 1, runs = j.runs + 1,
            worker = worker_, node = node_, started = now
        FROM picked WHERE j.seq = picked.seq
        RETURNING j.priority, j.seq, pg_temp.claimed_row(j) AS made
    )
    SELECT string_agg(made, ',' ORDER BY priority DESC, seq), count(*)
        INTO answer, taken FROM given;
    IF taken < cardinality(chosen) THEN  -- another process has some of them: look further
        RETURN pg_temp.claim_any(
            node_, worker_, kinds, most - taken, now, most_bytes, answer);
    END IF;
    RETURN '{"more":false,"rows":[' || coalesce(answer, '') || ']}';
END $$;

-- For any jobs, after those of `before`. One transaction at a time does this: what the others let
-- run has to be known.
CREATE FUNCTION pg_temp.claim_any(
    node_ text, worker_ text, kinds text[], most int, now float8, most_bytes bigint,
    before text
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    chosen bigint[] := '{}';
    lanes_used text[] := '{}';
    uniques text[] := '{}';
    left_over text[] := '{}';
    j record;
    hidden boolean := false;
    size bigint := 0;
    answer text;
BEGIN
    PERFORM pg_advisory_xact_lock(1784832624, 0);
    FOR j IN
        SELECT c.* FROM (
            SELECT free.*, 0 AS room FROM unnest(kinds) AS k CROSS JOIN LATERAL (
                SELECT f.seq, f.priority, f.kind, f.lane, f.owner, f.unique_name,
                    octet_length(f.args) + octet_length(f.kwargs)
                        + CASE WHEN f.parents = 0 THEN 0 ELSE pg_temp.size_before(f.seq) END AS size
                FROM jobs AS f
                WHERE f.kind = k AND f.state = 'available' AND f.waits_for = 0 AND NOT f.limited
                    AND (f.begin_by IS NULL OR f.begin_by > now)
                ORDER BY f.priority DESC, f.seq LIMIT most FOR UPDATE SKIP LOCKED
            ) AS free
            UNION ALL
            SELECT laned.*, w.room FROM pg_temp.lanes_with_room(kinds, now) AS w
            CROSS JOIN LATERAL (
                SELECT f.seq, f.priority, f.kind, f.lane, f.owner, f.unique_name,
                    octet_length(f.args) + octet_length(f.kwargs)
                        + CASE WHEN f.parents = 0 THEN 0 ELSE pg_temp.size_before(f.seq) END AS size
                FROM jobs AS f
                WHERE f.kind = w.kind AND coalesce(f.lane, '') = w.lane
                    AND f.state = 'available' AND f.waits_for = 0 AND f.limited
                    AND (f.begin_by IS NULL OR f.begin_by > now)
                    AND (f.unique_name IS NULL
                        OR NOT pg_temp.runs_unique(f.owner, f.unique_name))
                ORDER BY f.priority DESC, f.seq LIMIT least(most, w.room) FOR UPDATE SKIP LOCKED
            ) AS laned
        ) AS c
        ORDER BY c.priority DESC, c.seq
    LOOP
        IF cardinality(chosen) >= most THEN
            left_over := left_over || j.kind;
        ELSIF cardinality(chosen) > 0 AND size + j.size > most_bytes THEN  -- too large an answer
            hidden := true;
            left_over := left_over || j.kind;
        ELSIF j.unique_name IS NOT NULL AND j.owner || ' ' || j.unique_name = ANY (uniques) THEN
            hidden := true;
        ELSIF j.lane IS NULL OR cardinality(array_positions(lanes_used, j.lane)) < j.room THEN
            chosen := chosen || j.seq;
            size := size + j.size;
            IF j.lane IS NOT NULL THEN
                lanes_used := lanes_used || j.lane;
            END IF;
            IF j.unique_name IS NOT NULL THEN
                uniques := uniques || (j.owner || ' ' || j.unique_name);
            END IF;
        END IF;
    END LOOP;
    WITH given AS (
        UPDATE jobs AS g SET state = 'running', attempt = g.attempt + 1, runs = g.runs + 1,
            worker = worker_, node = node_, started = now
        WHERE g.seq = ANY (chosen)
        RETURNING g.priority, g.seq, pg_temp.claimed_row(g) AS made
    )
    SELECT string_agg(made, ',' ORDER BY priority DESC, seq) INTO answer FROM given;
    UPDATE lanes AS l SET arrival = greatest(l.arrival, now) + l.gap * u.starts
        FROM (SELECT name, count(*) AS starts FROM unnest(lanes_used) AS name GROUP BY name) AS u
        WHERE l.name = u.name AND l.gap IS NOT NULL;
    -- Others did not see what was looked at here and not taken: they look again.
    PERFORM pg_notify('jabot', word) FROM (
        SELECT json_build_object('kind', 'ready', 'what', kind)::text AS word
        FROM unnest(left_over) AS kind WHERE (SELECT count(*) FROM nodes) > 1 GROUP BY kind
    ) AS words WHERE octet_length(word) < 7900;
    RETURN '{"more":' || (hidden AND cardinality(chosen) < most)
        || ',"rows":[' || concat_ws(',', before, answer) || ']}';
END $$;

-- The lanes ('' for none) in which limited jobs of these kinds wait, and how many may start.
CREATE FUNCTION pg_temp.lanes_with_room(kinds text[], now float8)
RETURNS TABLE (kind text, lane text, room int) LANGUAGE plpgsql STABLE AS $$
BEGIN
    FOREACH kind IN ARRAY kinds LOOP
        lane := NULL;
        LOOP
            SELECT coalesce(j.lane, '') INTO lane FROM jobs AS j
                WHERE j.kind = lanes_with_room.kind AND j.state = 'available' AND j.waits_for = 0
                    AND j.limited AND coalesce(j.lane, '') >= coalesce(lanes_with_room.lane, '')
                    AND coalesce(j.lane, '') IS DISTINCT FROM lanes_with_room.lane
                ORDER BY j.kind, coalesce(j.lane, '') LIMIT 1;
            EXIT WHEN NOT FOUND;
            room := pg_temp.room(lane, now);
            IF room > 0 THEN
                RETURN NEXT;
            END IF;
        END LOOP;
    END LOOP;
END $$;

-- Let attempts that a worker says it has be this node's.
CREATE FUNCTION pg_temp.adopt(verbs text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text := '';
    v record;
    made text;
BEGIN
    FOR v IN SELECT * FROM json_to_recordset(verbs::json) AS v (node text, worker text, held json)
    LOOP
        INSERT INTO nodes (name) VALUES (v.node) ON CONFLICT DO NOTHING;
        WITH adopted AS (
            UPDATE jobs AS j SET node = v.node FROM (
                SELECT DISTINCT h ->> 0 AS id, (h ->> 1)::int AS attempt
                FROM json_array_elements(v.held) AS h ORDER BY 1
            ) AS h
            WHERE j.id = h.id AND j.attempt = h.attempt AND j.state = 'running'
                AND j.worker = v.worker
            RETURNING j.seq, pg_temp.job_row(j, false) AS made
        )
        SELECT string_agg(adopted.made, ',' ORDER BY seq) INTO made FROM adopted;
        answer := answer || ',[' || coalesce(made, '') || ']';
    END LOOP;
    RETURN '[' || substr(answer, 2) || ']';
END $$;

-- Take over the running jobs of queue processes that are no more.
CREATE FUNCTION pg_temp.orphans(verbs text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text := '';
    v record;
BEGIN
    FOR v IN SELECT * FROM json_to_recordset(verbs::json) AS v (node text, silence float8)
    LOOP
        INSERT INTO nodes (name) VALUES (v.node)
            ON CONFLICT (name) DO UPDATE SET beat = clock_timestamp();
        DELETE FROM nodes WHERE name IN (
            SELECT name FROM nodes
            -- (One of the future was before the clock was set back.)
            WHERE beat NOT BETWEEN clock_timestamp() - make_interval(secs => v.silence)
                    AND clock_timestamp() + make_interval(secs => v.silence)
                AND name <> v.node
            FOR UPDATE SKIP LOCKED
        );
        IF FOUND THEN
            -- What a process that died may have been about to take is there for all.
            PERFORM pg_notify('jabot', word) FROM (
                SELECT json_build_object('all', true, 'kind', 'ready', 'what', kind)::text AS word
                FROM pg_temp.kinds() AS kind
            ) AS words WHERE octet_length(word) < 7900;
        END IF;
        UPDATE jobs SET node = v.node WHERE seq IN (
            SELECT j.seq FROM jobs AS j
            WHERE j.state = 'running' AND j.node <> v.node
                AND NOT EXISTS (SELECT FROM nodes AS n WHERE n.name = j.node)
            FOR UPDATE SKIP LOCKED
        );
        answer := answer || ',[' || coalesce((
            SELECT string_agg(pg_temp.job_row(j, false), ',' ORDER BY j.seq) FROM jobs AS j
            WHERE j.state = 'running' AND j.node = v.node
        ), '') || ']';
    END LOOP;
    RETURN '[' || substr(answer, 2) || ']';
END $$;
