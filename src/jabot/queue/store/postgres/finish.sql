-- End attempts that have succeeded. It answers with an object of those that were stale, or that
-- something waited behind, by their positions.
CREATE FUNCTION pg_temp.succeed(verbs text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    all_of_them json := verbs;
    done bigint[];
    over_ bigint[];
    places bigint[];
    rest json;
    answer text := '';
    e record;
BEGIN
    -- The first end of an attempt stands; a second one in the same call has to find the first.
    WITH v AS MATERIALIZED (
        SELECT DISTINCT ON (id) * FROM ROWS FROM (json_to_recordset(all_of_them) AS (
            id text, attempt int, worker text, now float8, result text
        )) WITH ORDINALITY AS v (id, attempt, worker, now, result, i) ORDER BY id, i
    ), ended AS (
        UPDATE jobs AS j SET state = 'succeeded', worker = NULL, node = NULL, ended = v.now,
            result = v.result, failure = NULL
        FROM v
        WHERE j.id = v.id AND j.state = 'running' AND j.attempt = v.attempt
            AND (v.worker IS NULL OR j.worker = v.worker) AND NOT j.limited
        RETURNING v.i, j.seq
    )
    SELECT array_agg(i), array_agg(seq) INTO done, over_ FROM ended;
    IF cardinality(done) = json_array_length(all_of_them)
        AND NOT EXISTS (SELECT FROM links WHERE parent = ANY (over_))
    THEN
        RETURN '{}';
    END IF;
    FOR e IN
        SELECT v.i, j.seq, j.ended FROM json_array_elements(all_of_them)
            WITH ORDINALITY AS v (verb, i) JOIN jobs AS j ON j.id = v.verb ->> 'id'
        WHERE v.i = ANY (done) AND EXISTS (SELECT FROM links WHERE parent = j.seq)
        ORDER BY v.i
    LOOP
        answer := answer || format(',"%s":{"stands":true,"state":"succeeded",%s}', e.i - 1,
            pg_temp.effects(pg_temp.free_children(1, e.seq, e.ended), 1));
    END LOOP;
    SELECT array_agg(v.i ORDER BY v.i), json_agg(v.verb ORDER BY v.i) INTO places, rest
        FROM json_array_elements(all_of_them) WITH ORDINALITY AS v (verb, i)
        WHERE done IS NULL OR v.i <> ALL (done);
    IF places IS NOT NULL THEN
        SELECT answer || string_agg(format(',"%s":%s', places[a.n] - 1, a.one), '' ORDER BY a.n)
            INTO answer FROM json_array_elements(pg_temp.finish(rest::text)::json)
                WITH ORDINALITY AS a (one, n);
    END IF;
    RETURN '{' || substr(answer, 2) || '}';
END $$;

-- End attempts, unless they are stale, and let follow what waited for that.
CREATE FUNCTION pg_temp.finish(verbs text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    all_of_them json := verbs;
    total int := json_array_length(all_of_them);
    answer text;
    done int;
    now float8;
    over_ bigint[];  -- those that ended
    notable json;  -- those that leave room, or are available again: i, kind, lane, owner, unique
    fx effect[] := '{}';
    e record;
BEGIN
    -- The first end of an attempt stands; a second one in the same call has to find the first.
    IF total > (SELECT count(DISTINCT v ->> 'id') FROM json_array_elements(all_of_them) AS v) THEN
        SELECT string_agg(substr(one, 2, length(one) - 2), ',' ORDER BY i) INTO answer
            FROM json_array_elements(all_of_them) WITH ORDINALITY AS v (verb, i),
                LATERAL (SELECT pg_temp.finish('[' || verb::text || ']') AS one) AS o;
        RETURN '[' || answer || ']';
    END IF;
    WITH v AS MATERIALIZED (
        SELECT * FROM ROWS FROM (json_to_recordset(all_of_them) AS (
            id text, attempt int, event text, now float8, result text, failure text, at float8,
            worker text, outcome text, error text, node text
        )) WITH ORDINALITY AS v (
            id, attempt, event, now, result, failure, at, worker, outcome, error, node, i
        ) ORDER BY id
    ), ended AS (
        UPDATE jobs AS j SET
            state = CASE
                WHEN v.event = 'succeed' THEN 'succeeded'
                WHEN v.event = 'fail' THEN 'failed'
                WHEN v.event = 'cancel' OR j.cancelling IS NOT NULL THEN 'cancelled'
                WHEN v.event = 'release' OR v.at <= v.now THEN 'available'
                ELSE 'retryable' END,
            worker = NULL,
            node = NULL,
            ended = CASE WHEN v.event IN ('succeed', 'fail', 'cancel') OR j.cancelling IS NOT NULL
                THEN v.now END,
            runs = j.runs - (v.event = 'release' AND j.cancelling IS NULL)::int,
            due = CASE WHEN v.event = 'retry' AND j.cancelling IS NULL THEN v.at ELSE j.due END,
            begin_by = CASE WHEN v.event = 'retry' THEN j.deadline ELSE j.begin_by END,
            result = CASE WHEN v.event = 'succeed' THEN coalesce(v.result, 'null') END,
            failure = CASE WHEN v.event IN ('fail', 'cancel') OR j.cancelling IS NOT NULL
                THEN v.failure END,
            history = CASE WHEN v.event = 'succeed' THEN j.history ELSE
                j.history[greatest(1, cardinality(j.history) - 18):] || json_build_object(
                    'number', j.attempt, 'worker', j.worker, 'started', j.started, 'ended', v.now,
                    'outcome', v.outcome, 'error', v.error)::text END
        FROM v
        WHERE j.id = v.id AND j.state = 'running' AND j.attempt = v.attempt
            AND (v.worker IS NULL OR j.worker = v.worker)
            AND (v.node IS NULL OR j.node = v.node)
        RETURNING v.i, v.now, j.seq, j.state, j.kind, j.lane, j.owner, j.unique_name,
            j.ended IS NOT NULL AS is_over, j.limited
    )
    SELECT '[' || string_agg('{"stands":true,"state":"' || ended.state || '"}', ',' ORDER BY i)
            || ']',
            count(*),
            max(ended.now),
            array_agg(seq) FILTER (WHERE is_over),
            json_agg(ended) FILTER (WHERE limited OR NOT is_over)
        INTO answer, done, now, over_, notable FROM ended;
    IF done = total AND notable IS NULL
        AND NOT EXISTS (SELECT FROM links WHERE parent = ANY (over_))
    THEN
        RETURN answer;
    END IF;
    FOR e IN
        SELECT j.seq, j.state, v.i FROM json_array_elements(all_of_them)
            WITH ORDINALITY AS v (verb, i) JOIN jobs AS j ON j.id = v.verb ->> 'id'
        WHERE j.seq = ANY (over_) AND EXISTS (SELECT FROM links WHERE parent = j.seq)
        ORDER BY v.i
    LOOP
        fx := fx || CASE WHEN e.state = 'succeeded'
            THEN pg_temp.free_children(e.i::int, e.seq, now)
            ELSE pg_temp.fail_children(e.i::int, e.seq, now) END;
    END LOOP;
    FOR e IN
        SELECT max(i) AS i, lane, CASE WHEN unique_name IS NOT NULL THEN owner END AS owner,
            unique_name, CASE WHEN NOT limited THEN kind END AS kind
        FROM json_to_recordset(notable) AS n (
            i int, kind text, lane text, owner text, unique_name text, limited boolean, state text
        ) WHERE limited OR state = 'available' GROUP BY 2, 3, 4, 5
    LOOP
        fx := fx || CASE WHEN e.kind IS NOT NULL THEN ARRAY[(e.i, e.kind, NULL)::effect]
            ELSE pg_temp.ready_behind(e.i, e.lane, e.owner, e.unique_name, now) END;
    END LOOP;
    RETURN '[' || string_agg(CASE
            WHEN stands AND fx = '{}' THEN '{"stands":true,"state":"' || state || '"}'
            WHEN stands THEN '{"stands":true,"state":"' || state || '",'
                || pg_temp.effects(fx, i::int) || '}'
            ELSE json_build_object('stands', false, 'state', state)::text END, ',' ORDER BY i)
        || ']'
        FROM (
            SELECT v.i, j.state, coalesce(j.seq = ANY (over_), false) OR EXISTS (
                SELECT FROM json_array_elements(notable) AS n WHERE (n ->> 'seq')::bigint = j.seq
            ) AS stands
            FROM json_array_elements(all_of_them) WITH ORDINALITY AS v (verb, i)
            LEFT JOIN jobs AS j ON j.id = v.verb ->> 'id'
        ) AS each;
END $$;

-- Stop jobs: at once those that do not run.
CREATE FUNCTION pg_temp.cancel(verbs text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text := '';
    v record;
    j jobs;
    was text;
    fx effect[];
BEGIN
    -- All that locks several rows does it in the order of ids.
    PERFORM FROM jobs WHERE seq IN (
        SELECT pg_temp.seq_of(e ->> 'id') FROM json_array_elements(verbs::json) AS e
    ) ORDER BY id FOR UPDATE;
    FOR v IN SELECT * FROM json_to_recordset(verbs::json)
        AS v (id text, owner text, reason text, now float8)
    LOOP
        SELECT * INTO j FROM jobs
            WHERE seq = pg_temp.seq_of(v.id) AND (v.owner IS NULL OR owner = v.owner) FOR UPDATE;
        IF NOT FOUND THEN
            answer := answer || ',null';
            CONTINUE;
        END IF;
        fx := '{}';
        was := j.state;
        IF j.ended IS NULL THEN
            UPDATE jobs SET cancelling = coalesce(cancelling, v.reason),
                    state = CASE WHEN was = 'running' THEN was ELSE 'cancelled' END,
                    ended = CASE WHEN was = 'running' THEN NULL ELSE v.now END
                WHERE seq = j.seq RETURNING * INTO j;
            IF was <> 'running' THEN
                fx := pg_temp.fail_children(1, j.seq, v.now);
                IF j.limited THEN
                    fx := fx || pg_temp.ready_behind(1, j.lane, j.owner, j.unique_name, v.now);
                END IF;
            END IF;
        END IF;
        answer := answer || ',{"record":' || pg_temp.job_row(j, true)
            || ',' || pg_temp.effects(fx, 1) || '}';
    END LOOP;
    RETURN '[' || substr(answer, 2) || ']';
END $$;

-- Make ended jobs available again, unless a parent has failed or is no more.
CREATE FUNCTION pg_temp.revive(verbs text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text := '';
    v record;
    j jobs;
    missing int;
BEGIN
    FOR v IN SELECT * FROM json_to_recordset(verbs::json) AS v (id text, owner text, now float8)
    LOOP
        SELECT * INTO j FROM jobs
            WHERE seq = pg_temp.seq_of(v.id) AND (v.owner IS NULL OR owner = v.owner)
                AND state IN ('failed', 'cancelled') FOR UPDATE;
        IF NOT FOUND THEN
            answer := answer || ',null';
            CONTINUE;
        END IF;
        PERFORM FROM links AS l JOIN jobs AS p ON p.seq = l.parent
            WHERE l.child = j.seq FOR SHARE OF p;
        IF NOT EXISTS (
            SELECT FROM links AS l LEFT JOIN jobs AS p ON p.seq = l.parent
            WHERE l.child = j.seq AND coalesce(p.state, 'failed') IN ('failed', 'cancelled')
        ) THEN
            SELECT count(*) INTO missing FROM links AS l JOIN jobs AS p ON p.seq = l.parent
                WHERE l.child = j.seq AND p.state <> 'succeeded';
            UPDATE jobs SET state = 'available', runs = 0, started = NULL, ended = NULL,
                    cancelling = NULL, result = NULL, failure = NULL, delivered = false,
                    due = v.now, deadline = v.now + timeout,
                    begin_by = least(v.now + timeout, v.now + expires), waits_for = missing
                WHERE seq = j.seq RETURNING * INTO j;
        END IF;
        answer := answer || ',' || pg_temp.job_row(j, true);
    END LOOP;
    RETURN '[' || substr(answer, 2) || ']';
END $$;
