-- name: add_plain(i, id, owner, task, kind, args, kwargs, options, meta, reply_to, now, due, priority, deadline, expires, most)
-- Keep new jobs that have no limits, no key and no parents, and small arguments.
INSERT INTO jobs (
    id, owner, task, kind, state, priority, created, due, expires, timeout, deadline, begin_by,
    reply_to, size, options, meta, args, kwargs
)
    SELECT id, owner, task, kind,
        CASE WHEN due > now THEN 'scheduled' ELSE 'available' END,
        priority, now, due, expires, deadline - now, deadline,
        CASE WHEN expires IS NULL THEN deadline
            ELSE min(coalesce(deadline, 1e300), due + expires) END,
        reply_to, 0, options, meta, args, kwargs
    FROM told WHERE NOT EXISTS (SELECT 1 FROM aliases AS a WHERE a.id = told.id)
        -- `i` is at least how many jobs of its owner are kept before it.
        AND (most IS NULL OR most > i + coalesce(
            (SELECT c.unfinished FROM callers AS c WHERE c.owner = told.owner), 0))
    ON CONFLICT (id) DO NOTHING;
-- The others.
SELECT json_group_array(i) FROM told
    WHERE EXISTS (SELECT 1 FROM names AS n WHERE n.id = told.id)
        OR most <= i + coalesce(
            (SELECT c.unfinished FROM callers AS c WHERE c.owner = told.owner), 0);

-- name: same_job(i, verb)
-- Which job it is that was there when one of the same id was to be added.
UPDATE jobs SET reply_to = CASE WHEN id <> json_extract(:verb, '$.id') THEN reply_to
            ELSE coalesce(nullif(json_extract(:verb, '$.reply_to'), ''), reply_to) END,
        person = coalesce(json_extract(:verb, '$.person'), person),
        teller = coalesce(json_extract(:verb, '$.teller'), teller)
    WHERE seq = (SELECT n.seq FROM names AS n WHERE n.id = json_extract(:verb, '$.id'))
        AND owner = json_extract(:verb, '$.owner');
INSERT INTO result SELECT :i, CASE
    WHEN j.owner = json_extract(:verb, '$.owner') THEN json_object(
        'id', j.id, 'state', j.state, 'is_new', json('false'))
    ELSE json_object('id', json_extract(:verb, '$.id'), 'refused', 'id_taken') END
    FROM jobs AS j
    WHERE j.seq = (SELECT n.seq FROM names AS n WHERE n.id = json_extract(:verb, '$.id'));

-- name: add(verbs)
-- Keep jobs of any kind, one after the other.
DELETE FROM result;
DELETE FROM effect;
DELETE FROM rising;
INSERT INTO add_one SELECT key, value,
        json_extract(value, '$.id'), json_extract(value, '$.owner'), json_extract(value, '$.now'),
        json_extract(value, '$.key'), json_extract(value, '$.unique_name')
    FROM json_each(:verbs);
INSERT INTO settle_rising SELECT 0, max(json_extract(value, '$.now')) FROM json_each(:verbs);
INSERT INTO answer (json)
    SELECT '[' || group_concat(json) || ']' FROM (SELECT json FROM result ORDER BY i);

-- name: add_one(i, verb, id, owner, now, key, unique_name)
-- Keep one job, unless it is one that there is, or must be refused.
-- (SQLite writes `sqlite_sequence` when all is over, and the newest job may be deleted.)
UPDATE mark SET base = max(
    coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'jobs'), 0),
    coalesce((SELECT max(seq) FROM jobs), 0));
-- By its id, then by its key, then by its unique name.
DELETE FROM same;
INSERT INTO same SELECT k.seq FROM keys AS k
    CROSS JOIN jobs AS j ON j.seq = k.seq
    CROSS JOIN full_payloads AS p ON p.seq = k.seq
    WHERE :key IS NOT NULL AND k.owner = :owner AND k.key = :key AND k.until > :now
        AND j.task = json_extract(:verb, '$.task') AND p.args = json_extract(:verb, '$.args')
        AND p.kwargs = json_extract(:verb, '$.kwargs')
        AND NOT EXISTS (SELECT 1 FROM names AS n WHERE n.id = :id);
INSERT INTO result SELECT :i, json_object('id', j.id, 'refused', 'key_reused')
    FROM keys AS k CROSS JOIN jobs AS j ON j.seq = k.seq
    WHERE :key IS NOT NULL AND k.owner = :owner AND k.key = :key AND k.until > :now
        AND NOT EXISTS (SELECT 1 FROM same)
        AND NOT EXISTS (SELECT 1 FROM names AS n WHERE n.id = :id);
INSERT INTO same SELECT w.seq FROM jobs AS w
    WHERE :unique_name IS NOT NULL AND w.owner = :owner AND w.unique_name = :unique_name
        AND w.unique_name IS NOT NULL AND w.ended IS NULL AND w.state <> 'running'
        AND NOT EXISTS (SELECT 1 FROM same)
        AND NOT EXISTS (SELECT 1 FROM names AS n WHERE n.id = :id)
        AND NOT EXISTS (SELECT 1 FROM result AS r WHERE r.i = :i)
    ORDER BY w.priority DESC, w.seq LIMIT 1;
-- One job is known by so many ids, and is given no more.
INSERT INTO result SELECT :i, json_object('id', j.id, 'refused', 'too_many_same',
        'detail', CAST(json_extract(:verb, '$.most_same') AS TEXT))
    FROM same AS s CROSS JOIN jobs AS j ON j.seq = s.seq
    WHERE json_extract(:verb, '$.most_same')
        <= (SELECT count(*) FROM aliases AS a WHERE a.seq = s.seq);
INSERT INTO aliases SELECT :id, s.seq FROM same AS s
    WHERE NOT EXISTS (SELECT 1 FROM result AS r WHERE r.i = :i);
INSERT INTO same_job SELECT :i, :verb
    WHERE EXISTS (SELECT 1 FROM names AS n WHERE n.id = :id);
INSERT INTO result SELECT :i, json_object('id', :id, 'refused', 'unknown_parent', 'detail', a.value)
    FROM json_each(:verb, '$.after') AS a
    WHERE a.value IS NOT NULL AND NOT EXISTS (SELECT 1 FROM result AS r WHERE r.i = :i)
        AND NOT EXISTS (
            SELECT 1 FROM jobs AS j WHERE j.owner = :owner
                AND j.seq = (SELECT n.seq FROM names AS n WHERE n.id = a.value))
    LIMIT 1;
INSERT INTO result
    SELECT :i, json_object('id', :id, 'refused', 'too_many', 'detail', CAST(n AS TEXT))
    FROM (
        SELECT coalesce((SELECT c.unfinished FROM callers AS c WHERE c.owner = :owner), 0) AS n
    ) WHERE n >= json_extract(:verb, '$.most')
        AND NOT EXISTS (SELECT 1 FROM result AS r WHERE r.i = :i);
-- A new one, then.
INSERT INTO add_new SELECT :i, :verb, (SELECT base + 1 FROM mark), :now
    WHERE NOT EXISTS (SELECT 1 FROM result AS r WHERE r.i = :i);

-- name: add_new(i, verb, seq, now)
-- Keep one job that is new.
INSERT INTO links (child, position, parent)
    SELECT :seq, a.key, (SELECT n.seq FROM names AS n WHERE n.id = a.value)
    FROM json_each(:verb, '$.after') AS a WHERE a.value IS NOT NULL;
INSERT INTO jobs (
    seq, id, owner, task, kind, state, gate, priority, created, due, expires, timeout, deadline, begin_by,
    reply_to, person, teller, waits_for, parents, lane, unique_name, size, options, meta, args,
    kwargs
)
    SELECT :seq, json_extract(:verb, '$.id'), json_extract(:verb, '$.owner'),
        json_extract(:verb, '$.task'), json_extract(:verb, '$.kind'),
        CASE WHEN due > :now OR missing > 0 THEN 'scheduled' ELSE 'available' END,
        CASE WHEN due > :now OR missing > 0 THEN 0
            WHEN json_extract(:verb, '$.unique_name') IS NOT NULL THEN 2
            ELSE json_extract(:verb, '$.lane') IS NOT NULL END,
        json_extract(:verb, '$.priority'), :now, due, expires, deadline - :now, deadline,
        CASE WHEN expires IS NULL OR missing > 0 THEN deadline
            ELSE min(coalesce(deadline, 1e300), due + expires) END,
        json_extract(:verb, '$.reply_to'), json_extract(:verb, '$.person'),
        json_extract(:verb, '$.teller'), missing,
        coalesce(json_array_length(:verb, '$.after'), 0),
        json_extract(:verb, '$.lane'), json_extract(:verb, '$.unique_name'),
        CASE WHEN large THEN length(CAST(json_extract(:verb, '$.args') AS BLOB))
            + length(CAST(json_extract(:verb, '$.kwargs') AS BLOB)) ELSE 0 END,
        json_extract(:verb, '$.options'), json_extract(:verb, '$.meta'),
        CASE WHEN NOT large THEN json_extract(:verb, '$.args') END,
        CASE WHEN NOT large THEN json_extract(:verb, '$.kwargs') END
    FROM (
        SELECT json_extract(:verb, '$.due') AS due, json_extract(:verb, '$.expires') AS expires,
            json_extract(:verb, '$.deadline') AS deadline,
            json_extract(:verb, '$.large') AS large,
            (
                SELECT count(*) FROM links AS l CROSS JOIN jobs AS p ON p.seq = l.parent
                WHERE l.child = :seq AND p.state <> 'succeeded'
            ) AS missing
    );
INSERT INTO payloads SELECT :seq, json_extract(:verb, '$.args'), json_extract(:verb, '$.kwargs')
    WHERE json_extract(:verb, '$.large');
INSERT INTO keys SELECT json_extract(:verb, '$.owner'), json_extract(:verb, '$.key'), :seq,
        json_extract(:verb, '$.key_until')
    WHERE json_extract(:verb, '$.key') IS NOT NULL
    ON CONFLICT (owner, key) DO UPDATE SET seq = excluded.seq, until = excluded.until;
INSERT INTO lanes (name, slots, gap, burst)
    SELECT json_extract(:verb, '$.lane'), json_extract(:verb, '$.slots'),
        json_extract(:verb, '$.gap'), json_extract(:verb, '$.burst')
    WHERE json_extract(:verb, '$.lane') IS NOT NULL
    ON CONFLICT (name) DO UPDATE
        SET slots = excluded.slots, gap = excluded.gap, burst = excluded.burst;
-- After a parent that has failed there is nothing to wait for.
UPDATE jobs SET state = 'failed', gate = 0, ended = :now, failure = (
        SELECT json_object('type', 'ParentFailed', 'code', 'parent', 'message', p.why)
        FROM links AS l CROSS JOIN why_failed AS p ON p.seq = l.parent
        WHERE l.child = :seq AND p.state IN ('failed', 'cancelled') ORDER BY l.position LIMIT 1
    ) WHERE seq = :seq AND EXISTS (
        SELECT 1 FROM links AS l CROSS JOIN jobs AS p ON p.seq = l.parent
        WHERE l.child = :seq AND p.state IN ('failed', 'cancelled')
    );
INSERT INTO rising SELECT seq FROM jobs
    WHERE seq = :seq AND state = 'available' AND (lane IS NOT NULL OR unique_name IS NOT NULL);
INSERT INTO result SELECT :i, json_object('id', id, 'state', state, 'is_new', json('true'))
    FROM jobs WHERE seq = :seq;
