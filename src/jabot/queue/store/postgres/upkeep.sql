-- Note that submitters have the outcomes.
CREATE FUNCTION pg_temp.delivered(verbs text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    UPDATE jobs AS j SET delivered = true FROM (
        SELECT DISTINCT w.id, w.seq FROM json_array_elements(verbs::json) AS v,
            json_array_elements_text(v -> 'ids') AS each JOIN jobs AS w
            ON w.seq = pg_temp.seq_of(each)
        ORDER BY w.id
    ) AS d
    WHERE j.seq = d.seq AND NOT j.delivered AND j.ended IS NOT NULL;
    RETURN pg_temp.nothing(verbs);
END $$;

-- An answer of as many nulls as there are verbs.
CREATE FUNCTION pg_temp.nothing(verbs text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT '[' || substr(repeat(',null', json_array_length(verbs::json)), 2) || ']'
$$;

-- Start no jobs of a task any more, or again.
CREATE FUNCTION pg_temp.pause(verbs text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v record;
BEGIN
    FOR v IN SELECT * FROM json_to_recordset(verbs::json) AS v (task text, paused boolean) LOOP
        IF v.paused THEN
            INSERT INTO paused VALUES (v.task) ON CONFLICT DO NOTHING;
        ELSE
            DELETE FROM paused AS p WHERE p.task = v.task;
        END IF;
    END LOOP;
    RETURN pg_temp.nothing(verbs);
END $$;

-- Bring what waited for its time to where it belongs.
CREATE FUNCTION pg_temp.due(verbs text) RETURNS text LANGUAGE sql AS $$
    SELECT '[' || string_agg(pg_temp.due_once(v.now, v.most), ',') || ']'
    FROM json_to_recordset(verbs::json) AS v (now float8, most int)
$$;

CREATE FUNCTION pg_temp.due_once(now float8, most int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    fx effect[] := '{}';
    late bigint[];
    rising text[];
    j record;
    next float8;
    at float8;
BEGIN
    -- What was not begun in time.
    late := ARRAY(
        SELECT f.seq FROM jobs AS f
        WHERE f.begin_by IS NOT NULL AND f.state IN ('scheduled', 'available', 'retryable')
            AND f.begin_by <= now
        ORDER BY f.begin_by LIMIT most FOR UPDATE SKIP LOCKED
    );
    IF late <> '{}' THEN
        UPDATE jobs AS f SET state = 'failed', ended = now,
                failure = CASE WHEN f.deadline <= now
                    THEN json_build_object('type', 'JobTimeout', 'code', 'timeout', 'message',
                        'its time of ' || round(f.timeout::numeric, 3)
                        || ' s was over before it had succeeded')
                    ELSE json_build_object('type', 'Expired', 'code', 'expired', 'message',
                        'not begun within ' || round(f.expires::numeric, 3)
                        || ' s of when it was due') END
            WHERE f.seq = ANY (late);
        FOR j IN SELECT * FROM jobs WHERE seq = ANY (late) ORDER BY seq LOOP
            fx := fx || (1, NULL, j.id)::effect || pg_temp.fail_children(1, j.seq, now);
            IF j.limited THEN
                fx := fx || pg_temp.ready_behind(1, j.lane, j.owner, j.unique_name, now);
            END IF;
        END LOOP;
    END IF;
    -- What may begin now.
    WITH risen AS (
        UPDATE jobs AS f SET state = 'available' WHERE f.seq IN (
            SELECT w.seq FROM jobs AS w
            WHERE w.state IN ('scheduled', 'retryable') AND w.waits_for = 0 AND w.due <= now
            ORDER BY w.due LIMIT most FOR UPDATE SKIP LOCKED
        ) RETURNING f.kind
    )
    SELECT array_agg(DISTINCT kind) INTO rising FROM risen;
    fx := fx || ARRAY(SELECT (1, kind, NULL)::effect FROM unnest(rising) AS kind);
    SELECT least(
        (SELECT w.due FROM jobs AS w
            WHERE w.state IN ('scheduled', 'retryable') AND w.waits_for = 0
            ORDER BY w.due LIMIT 1),
        (SELECT w.begin_by FROM jobs AS w
            WHERE w.begin_by IS NOT NULL AND w.state IN ('scheduled', 'available', 'retryable')
            ORDER BY w.begin_by LIMIT 1)
    ) INTO next;
    IF next <= now AND late = '{}' AND rising IS NULL THEN
        next := now + 0.1;  -- another process is about it
    END IF;
    -- What the rates of lanes allow again, and when they will.
    FOR j IN
        SELECT l.* FROM lanes AS l WHERE l.gap IS NOT NULL AND EXISTS (
            SELECT FROM jobs AS w WHERE w.lane = l.name AND w.lane IS NOT NULL
                AND w.state = 'available' AND w.waits_for = 0
        )
    LOOP
        at := j.arrival - (j.burst - 1) * j.gap;
        IF at > now THEN
            next := least(next, at);
        ELSE
            fx := fx || ARRAY(SELECT (1, kind, NULL)::effect
                FROM pg_temp.kinds_of_lane(j.name, now) AS kind);
        END IF;
    END LOOP;
    RETURN '{"next":' || coalesce(next::text, 'null') || ',' || pg_temp.effects(fx, 1) || '}';
END $$;

-- Forget jobs that ended long ago, and what nothing needs any more.
CREATE FUNCTION pg_temp.prune(verbs text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text := '';
    v record;
BEGIN
    FOR v IN SELECT * FROM json_to_recordset(verbs::json)
        AS v (now float8, delivered float8, undelivered float8, failed float8, most int)
    LOOP
        DELETE FROM keys WHERE (owner, key) IN (
            SELECT k.owner, k.key FROM keys AS k WHERE k.until <= v.now
            ORDER BY k.until LIMIT v.most FOR UPDATE SKIP LOCKED
        );
        answer := answer || ',' || pg_temp.drop_jobs(ARRAY(
            SELECT j.seq FROM (VALUES
                ('delivered', v.now - v.delivered), ('undelivered', v.now - v.undelivered),
                ('failed', v.now - v.failed)
            ) AS old (fate, ended) CROSS JOIN LATERAL (
                SELECT e.seq FROM jobs AS e
                WHERE e.ended IS NOT NULL AND e.ended <= old.ended AND old.fate = CASE
                    WHEN e.state = 'failed' THEN 'failed'
                    WHEN e.delivered THEN 'delivered' ELSE 'undelivered' END
                    AND NOT EXISTS (SELECT FROM keys AS k WHERE k.seq = e.seq)
                    AND NOT EXISTS (
                        SELECT FROM links AS l JOIN jobs AS c ON c.seq = l.child
                        WHERE l.parent = e.seq AND c.ended IS NULL)
                ORDER BY e.ended LIMIT v.most
            ) AS j LIMIT v.most
        ));
        DELETE FROM lanes AS l WHERE l.arrival <= v.now AND NOT EXISTS (
            SELECT FROM jobs AS j WHERE j.lane = l.name AND j.lane IS NOT NULL AND j.ended IS NULL
        );
        PERFORM pg_temp.sum_up();
    END LOOP;
    RETURN '[' || substr(answer, 2) || ']';
END $$;

-- Delete ended jobs, and all that is about them; how many they were.
CREATE FUNCTION pg_temp.drop_jobs(wanted bigint[]) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    dropping bigint[] := ARRAY(
        SELECT seq FROM jobs WHERE seq = ANY (wanted) AND ended IS NOT NULL
        FOR UPDATE SKIP LOCKED
    );
BEGIN
    IF dropping <> '{}' THEN
        -- Again, now that they can change no more: one may have become a parent meanwhile.
        dropping := ARRAY(
            SELECT seq FROM unnest(dropping) AS seq WHERE NOT EXISTS (
                SELECT FROM links AS l JOIN jobs AS c ON c.seq = l.child
                WHERE l.parent = seq AND c.ended IS NULL)
        );
        DELETE FROM aliases WHERE seq = ANY (dropping);
        DELETE FROM keys WHERE seq = ANY (dropping);
        DELETE FROM links WHERE child = ANY (dropping);
        DELETE FROM jobs WHERE seq = ANY (dropping);
    END IF;
    RETURN cardinality(dropping);
END $$;

-- Make few lines of many in `tally`. One process at a time does this.
CREATE FUNCTION pg_temp.sum_up() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF pg_try_advisory_xact_lock(1784832624, 1) THEN
        WITH gone AS (DELETE FROM tally RETURNING task, state, n)
        INSERT INTO tally SELECT task, state, sum(n) FROM gone
            GROUP BY task, state HAVING sum(n) <> 0;
        WITH gone AS (
            DELETE FROM unfinished AS u WHERE u.n = 0 AND u.process IN (0, pg_backend_pid())
                OR u.process <> 0
                    AND NOT EXISTS (SELECT FROM pg_stat_activity AS a WHERE a.pid = u.process)
            RETURNING u.owner, u.n
        )
        INSERT INTO unfinished AS u
            SELECT owner, 0, sum(n) FROM gone GROUP BY owner HAVING sum(n) <> 0
            ON CONFLICT (owner, process) DO UPDATE SET n = u.n + excluded.n;
    END IF;
END $$;

-- Delete the ended jobs that a filter fits.
CREATE FUNCTION pg_temp.purge(verbs text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text := '';
    v json;
BEGIN
    FOR v IN SELECT value FROM json_array_elements(verbs::json) LOOP
        answer := answer || ',' || pg_temp.drop_jobs(ARRAY(SELECT seq FROM pg_temp.fitting(v)));
    END LOOP;
    RETURN '[' || substr(answer, 2) || ']';
END $$;
