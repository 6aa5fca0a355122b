-- The job that was there when one was to be added. Under its own id, `asked` hears of it from now on.
CREATE FUNCTION pg_temp.same_job(
    wanted text, by text, asked text, human text DEFAULT NULL, tells text DEFAULT NULL
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    j record;
BEGIN
    SELECT seq, id, owner, state INTO j FROM jobs WHERE seq = pg_temp.seq_of(wanted);
    IF j.owner = by THEN
        UPDATE jobs SET reply_to = asked
            WHERE seq = j.seq AND id = wanted AND asked <> '' AND reply_to <> asked;
        UPDATE jobs SET person = human, teller = tells WHERE seq = j.seq AND human IS NOT NULL;
        RETURN json_build_object('id', j.id, 'state', j.state, 'is_new', false);
    END IF;
    RETURN json_build_object('id', wanted, 'refused', 'id_taken');
END $$;

-- Keep jobs that have no limits, no key and no parents. Mostly all are new: it answers
-- with an object of what the others are, by their positions.
CREATE FUNCTION pg_temp.add_plain(verbs text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    all_of_them json := verbs;
    new_ids text[];
BEGIN
    IF pg_temp.are_too_many(all_of_them) THEN  -- they are counted one by one
        RETURN (
            SELECT json_object_agg(each.i - 1, each.value ORDER BY each.i)
            FROM json_array_elements(pg_temp.add(verbs)::json) WITH ORDINALITY AS each (value, i)
        );
    END IF;
    WITH added AS (
        INSERT INTO jobs (
            id, owner, task, kind, state, priority, created, due, expires, timeout, deadline,
            begin_by, reply_to, options, meta, args, kwargs
        )
        SELECT v.id, v.owner, v.task, v.kind,
            CASE WHEN v.due > v.now THEN 'scheduled' ELSE 'available' END,
            v.priority, v.now, v.due, v.expires, v.deadline - v.now, v.deadline,
            least(v.deadline, v.due + v.expires), v.reply_to, v.options, v.meta, v.args, v.kwargs
        FROM ROWS FROM (json_to_recordset(all_of_them) AS (
            id text, owner text, task text, kind text, args text, kwargs text, options text,
            meta text, reply_to text, now float8, due float8, priority int, deadline float8,
            expires float8
        )) WITH ORDINALITY AS v (
            id, owner, task, kind, args, kwargs, options, meta, reply_to, now, due, priority,
            deadline, expires, i
        )
        WHERE NOT EXISTS (SELECT FROM aliases AS a WHERE a.id = v.id)
        ORDER BY v.i
        ON CONFLICT (id) DO NOTHING
        RETURNING id
    )
    SELECT array_agg(id) INTO new_ids FROM added;
    IF cardinality(new_ids) = json_array_length(all_of_them) THEN
        RETURN '{}';
    END IF;
    -- Some were there already, or came twice.
    RETURN (
        SELECT json_object_agg(v.i - 1, pg_temp.same_job(v.id, v.owner, v.reply_to)::json
            ORDER BY v.i)
        FROM (
            SELECT each.*, row_number() OVER (PARTITION BY each.id ORDER BY each.i) AS place
            FROM ROWS FROM (json_to_recordset(all_of_them) AS (id text, owner text, reply_to text))
            WITH ORDINALITY AS each (id, owner, reply_to, i)
        ) AS v LEFT JOIN unnest(new_ids) AS n (id) ON n.id = v.id
        WHERE v.place > 1 OR n.id IS NULL
    );
END $$;

-- How many unfinished jobs an owner has.
CREATE FUNCTION pg_temp.unfinished_of(of text) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT coalesce(sum(u.n), 0)::bigint FROM unfinished AS u WHERE u.owner = of
$$;

-- Whether an owner might have too many unfinished jobs with these.
CREATE FUNCTION pg_temp.are_too_many(verbs json) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM json_to_recordset(verbs) AS v (owner text, most bigint)
        GROUP BY v.owner
        HAVING pg_temp.unfinished_of(v.owner) + count(*) > min(v.most)
    )
$$;

-- Keep jobs of any kind, one after the other.
CREATE FUNCTION pg_temp.add(verbs text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    all_of_them json := verbs;
    answer text := '';
    v record;
BEGIN
    PERFORM pg_temp.lock_names(ARRAY(
        SELECT n FROM json_array_elements(all_of_them) AS e, unnest(ARRAY[
            'key ' || (e ->> 'owner') || ' ' || (e ->> 'key'),
            'unique ' || (e ->> 'owner') || ' ' || (e ->> 'unique_name')
        ]) AS n WHERE n IS NOT NULL
    ));
    FOR v IN SELECT * FROM json_to_recordset(all_of_them) AS e (
        id text, owner text, task text, kind text, args text, kwargs text, options text,
        meta text, reply_to text, now float8, due float8, priority int, deadline float8,
        expires float8, most bigint, key text, key_until float8, unique_name text, lane text, slots int,
        gap float8, burst int, after json, person text, teller text,
        most_same int
    ) LOOP
        answer := answer || ',' || pg_temp.add_one(v);
    END LOOP;
    RETURN '[' || substr(answer, 2) || ']';
END $$;

-- Keep one job of any kind, unless it is one that there is, or must be refused.
CREATE FUNCTION pg_temp.add_one(v record) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    same bigint := pg_temp.seq_of(v.id);
    k record;
    p record;
    parents bigint[] := '{}';
    missing int := 0;
    fell bigint;
    new record;
BEGIN
    IF same IS NULL AND v.key IS NOT NULL THEN
        SELECT j.seq, j.task = v.task AND j.args = v.args AND j.kwargs = v.kwargs AS alike INTO k
            FROM keys JOIN jobs AS j ON j.seq = keys.seq
            WHERE keys.owner = v.owner AND keys.key = v.key AND keys.until > v.now;
        IF k.alike THEN
            same := k.seq;
        ELSIF FOUND THEN
            RETURN json_build_object(
                'id', (SELECT j.id FROM jobs AS j WHERE j.seq = k.seq), 'refused', 'key_reused');
        END IF;
    END IF;
    IF same IS NULL AND v.unique_name IS NOT NULL THEN
        SELECT w.seq INTO same FROM jobs AS w
            WHERE w.owner = v.owner AND w.unique_name = v.unique_name
                AND w.unique_name IS NOT NULL AND w.ended IS NULL AND w.state <> 'running'
            ORDER BY w.priority DESC, w.seq LIMIT 1;
    END IF;
    IF same <> pg_temp.seq_of(v.id) IS NOT FALSE
        AND (SELECT count(*) FROM aliases AS a WHERE a.seq = same) >= v.most_same
    THEN
        RETURN json_build_object('id', (SELECT j.id FROM jobs AS j WHERE j.seq = same),
            'refused', 'too_many_same', 'detail', v.most_same::text);
    END IF;
    IF same IS NOT NULL THEN
        INSERT INTO aliases SELECT v.id, same
            WHERE NOT EXISTS (SELECT FROM jobs AS j WHERE j.id = v.id) ON CONFLICT DO NOTHING;
        RETURN pg_temp.same_job(v.id, v.owner, v.reply_to, v.person, v.teller);
    END IF;
    IF pg_temp.unfinished_of(v.owner) >= v.most THEN
        RETURN json_build_object('id', v.id, 'refused', 'too_many',
            'detail', pg_temp.unfinished_of(v.owner)::text);
    END IF;
    -- A new one, then. Its parents may not end meanwhile.
    IF v.after IS NOT NULL THEN
        FOR p IN SELECT value AS id, pg_temp.seq_of(value) AS seq
            FROM json_array_elements_text(v.after) WITH ORDINALITY AS a (value, position)
            ORDER BY position
        LOOP
            SELECT j.seq, j.state INTO k FROM jobs AS j
                WHERE j.seq = p.seq AND j.owner = v.owner FOR SHARE;
            IF NOT FOUND THEN
                RETURN json_build_object(
                    'id', v.id, 'refused', 'unknown_parent', 'detail', p.id);
            END IF;
            parents := parents || p.seq;
            IF k.state IN ('failed', 'cancelled') THEN
                fell := coalesce(fell, p.seq);
            ELSIF k.state <> 'succeeded' THEN
                missing := missing + 1;
            END IF;
        END LOOP;
    END IF;
    INSERT INTO jobs (
        id, owner, task, kind, state, priority, created, due, expires, timeout, deadline, begin_by,
        reply_to, person, teller, waits_for, parents, lane, unique_name, options, meta, args,
        kwargs, ended, failure
    )
    VALUES (
        v.id, v.owner, v.task, v.kind,
        CASE WHEN fell IS NOT NULL THEN 'failed'
            WHEN v.due > v.now OR missing > 0 THEN 'scheduled' ELSE 'available' END,
        v.priority, v.now, v.due, v.expires, v.deadline - v.now, v.deadline,
        CASE WHEN missing > 0 THEN v.deadline ELSE least(v.deadline, v.due + v.expires) END,
        v.reply_to, v.person, v.teller, missing, cardinality(parents), v.lane, v.unique_name, v.options, v.meta,
        v.args, v.kwargs, CASE WHEN fell IS NOT NULL THEN v.now END,
        CASE WHEN fell IS NOT NULL THEN pg_temp.parent_failure(fell) END
    )
    ON CONFLICT (id) DO NOTHING
    RETURNING seq, state INTO new;
    IF NOT FOUND THEN  -- another process was faster
        RETURN pg_temp.same_job(v.id, v.owner, v.reply_to, v.person, v.teller);
    END IF;
    INSERT INTO links SELECT new.seq, position, parent
        FROM unnest(parents) WITH ORDINALITY AS a (parent, position);
    IF v.key IS NOT NULL THEN
        INSERT INTO keys VALUES (v.owner, v.key, new.seq, v.key_until)
            ON CONFLICT (owner, key) DO UPDATE SET seq = excluded.seq, until = excluded.until;
    END IF;
    IF v.lane IS NOT NULL AND NOT EXISTS (
        SELECT FROM lanes AS l WHERE l.name = v.lane
            AND (l.slots, l.gap, l.burst) IS NOT DISTINCT FROM (v.slots, v.gap, v.burst)
    ) THEN
        INSERT INTO lanes (name, slots, gap, burst) VALUES (v.lane, v.slots, v.gap, v.burst)
            ON CONFLICT (name) DO UPDATE
            SET slots = excluded.slots, gap = excluded.gap, burst = excluded.burst;
    END IF;
    RETURN json_build_object('id', v.id, 'state', new.state, 'is_new', true);
END $$;
