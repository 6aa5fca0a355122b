-- What a connection needs besides, for itself alone.

CREATE TEMP TABLE answer (json TEXT);
CREATE TEMP TABLE mark (base INTEGER);
INSERT INTO mark VALUES (0);
-- What a verb brought about besides its own: kinds that are ready, ids that ended.
CREATE TEMP TABLE effect (cause INTEGER, ready TEXT, ended TEXT);
CREATE INDEX temp.effect_cause ON effect (cause);
CREATE TEMP TABLE result (i INTEGER PRIMARY KEY, json TEXT);
-- The job that one to be added is the same as, under another id.
CREATE TEMP TABLE same (seq INTEGER PRIMARY KEY);
CREATE TEMP TABLE ending (
    i INTEGER PRIMARY KEY, seq INTEGER UNIQUE, event TEXT, state TEXT, now REAL, at REAL,
    result TEXT, failure TEXT, outcome TEXT, error TEXT,
    owner TEXT, kind TEXT, lane TEXT, unique_name TEXT
);
CREATE TEMP TABLE taking (
    n INTEGER PRIMARY KEY, seq INTEGER, lane TEXT, priority INTEGER, size INTEGER
);
CREATE TEMP TABLE late (seq INTEGER PRIMARY KEY, now REAL);
CREATE TEMP TABLE admitted (seq INTEGER PRIMARY KEY);
CREATE TEMP TABLE falling (seq INTEGER PRIMARY KEY);
CREATE TEMP TABLE rising (seq INTEGER PRIMARY KEY);
CREATE TEMP TABLE dropping (seq INTEGER PRIMARY KEY);

-- What jobs are known by: their own ids, and others that mean them.
CREATE TEMP VIEW names AS SELECT id, seq FROM jobs UNION ALL SELECT id, seq FROM aliases;
-- A job as in rows.py, without payloads and with them.
CREATE TEMP VIEW brief_rows AS SELECT seq, json_array(
    id, owner, task, state, options, meta, created, due, deadline, attempt, runs, priority,
    worker, node, started, ended, cancelling, failure, history, reply_to, waits_for,
    json(CASE delivered WHEN 0 THEN 'false' ELSE 'true' END), person, teller, NULL, NULL, NULL
) AS row FROM jobs;
CREATE TEMP VIEW full_rows AS SELECT seq, json_array(
    id, owner, task, state, options, meta, created, due, deadline, attempt, runs, priority,
    worker, node, started, ended, cancelling, failure, history, reply_to, waits_for,
    json(CASE delivered WHEN 0 THEN 'false' ELSE 'true' END), person, teller,
    coalesce(args, (SELECT p.args FROM payloads AS p WHERE p.seq = jobs.seq)),
    coalesce(kwargs, (SELECT p.kwargs FROM payloads AS p WHERE p.seq = jobs.seq)),
    result
) AS row FROM jobs;

-- A job that was claimed just now, as in rows.py.
CREATE TEMP VIEW claimed_rows AS SELECT seq, json_array(
    id, attempt, owner, task, options, meta, created, due, deadline, runs, priority, history,
    reply_to, person, teller,
    coalesce(args, (SELECT p.args FROM payloads AS p WHERE p.seq = jobs.seq)),
    coalesce(kwargs, (SELECT p.kwargs FROM payloads AS p WHERE p.seq = jobs.seq)),
    CASE WHEN parents > 0 THEN (
        SELECT CASE WHEN sum(length(p.result)) > 16777216 THEN sum(length(p.result))
            ELSE json_group_array(p.result) END
        FROM (
            SELECT parent.result FROM links LEFT JOIN jobs AS parent ON parent.seq = links.parent
            WHERE links.child = jobs.seq ORDER BY links.position
        ) AS p
    ) END
) AS row FROM jobs;

CREATE TEMP VIEW full_payloads AS SELECT j.seq AS seq, coalesce(j.args, p.args) AS args,
    coalesce(j.kwargs, p.kwargs) AS kwargs
    FROM jobs AS j LEFT JOIN payloads AS p ON p.seq = j.seq;
-- The kinds of the jobs that a worker may have now; each is found by a look at the index.
CREATE TEMP VIEW ready_kinds AS
    WITH RECURSIVE kinds (kind) AS (
        SELECT min(kind) FROM jobs WHERE state = 'available' AND gate = 0
        UNION ALL
        SELECT (SELECT min(j.kind) FROM jobs AS j
            WHERE j.state = 'available' AND j.gate = 0 AND j.kind > kinds.kind)
        FROM kinds WHERE kinds.kind IS NOT NULL
    )
    SELECT kind FROM kinds WHERE kind IS NOT NULL;
-- What its children are told of a job that has not succeeded.
CREATE TEMP VIEW why_failed AS SELECT seq, state, 'job ' || id || ' (' || task || ') ' || CASE
    WHEN state = 'cancelled' THEN 'was cancelled' || coalesce(': ' || nullif(cancelling, ''), '')
    WHEN json_valid(failure) THEN 'failed: ' || json_extract(failure, '$.type')
        || coalesce(': ' || nullif(substr(json_extract(failure, '$.message'), 1, 2000), ''), '')
    ELSE 'failed' END AS why FROM jobs;
