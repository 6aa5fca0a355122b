CREATE TABLE jobs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,  -- the order of submit; never used twice
    id TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    task TEXT NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN (
        'scheduled', 'available', 'running', 'retryable', 'succeeded', 'failed', 'cancelled')),
    -- What an available job waits for: 0 a worker, 1 its lane, 2 the job of its unique name that is
    -- before it, 3 its parents (when it was revived before them).
    gate INTEGER NOT NULL DEFAULT 0,
    priority INTEGER NOT NULL,
    created REAL NOT NULL,
    due REAL NOT NULL,
    expires REAL,
    timeout REAL,
    deadline REAL,
    begin_by REAL,  -- the earlier of the two moments that those mean, for a job that has not begun
    attempt INTEGER NOT NULL DEFAULT 0,
    runs INTEGER NOT NULL DEFAULT 0,
    worker TEXT,
    node TEXT,
    started REAL,
    ended REAL,
    cancelling TEXT,
    reply_to TEXT NOT NULL DEFAULT '',
    waits_for INTEGER NOT NULL DEFAULT 0,
    parents INTEGER NOT NULL DEFAULT 0,
    delivered INTEGER NOT NULL DEFAULT 0,
    lane TEXT,
    unique_name TEXT,
    size INTEGER NOT NULL,  -- of the arguments
    options TEXT NOT NULL,
    meta TEXT NOT NULL,
    args TEXT,  -- null: large ones are in `payloads`, because each change writes the whole row
    kwargs TEXT,
    failure TEXT,
    history TEXT,
    result TEXT
) STRICT;

-- Those that a worker may have now, in the order in which they are given away.
CREATE INDEX jobs_claimable ON jobs (kind, priority DESC, seq, due)
    WHERE state = 'available' AND gate = 0;
-- Those of a lane that it may let through, those that it has, and all that keep it.
CREATE INDEX jobs_lane ON jobs (lane, kind, priority DESC, seq)
    WHERE lane IS NOT NULL AND state = 'available' AND gate <= 1;
CREATE INDEX jobs_admitted ON jobs (lane, kind)
    WHERE lane IS NOT NULL AND state = 'available' AND gate = 0;
CREATE INDEX jobs_of_lane ON jobs (lane) WHERE lane IS NOT NULL AND ended IS NULL;
CREATE INDEX jobs_unique ON jobs (owner, unique_name)
    WHERE unique_name IS NOT NULL AND ended IS NULL;
CREATE INDEX jobs_gated ON jobs (task) WHERE state = 'available' AND gate > 0;
CREATE INDEX jobs_running ON jobs (task) WHERE state = 'running';
CREATE INDEX jobs_due ON jobs (due) WHERE state IN ('scheduled', 'retryable') AND waits_for = 0;
CREATE INDEX jobs_waiting ON jobs (task, state) WHERE state IN ('scheduled', 'retryable');
CREATE INDEX jobs_begin_by ON jobs (begin_by)
    WHERE begin_by IS NOT NULL AND state IN ('scheduled', 'available', 'retryable');
CREATE INDEX jobs_ended ON jobs (task, state, delivered, ended) WHERE ended IS NOT NULL;

CREATE TABLE payloads (
    seq INTEGER PRIMARY KEY,
    args TEXT NOT NULL,
    kwargs TEXT NOT NULL
) STRICT;

-- Other ids by which a job is known: submits that a key or a unique name made the same job.
CREATE TABLE aliases (
    id TEXT PRIMARY KEY,
    seq INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX aliases_seq ON aliases (seq);

CREATE TABLE keys (
    owner TEXT NOT NULL,
    key TEXT NOT NULL,
    seq INTEGER NOT NULL,
    until REAL NOT NULL,
    PRIMARY KEY (owner, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX keys_seq ON keys (seq);
CREATE INDEX keys_until ON keys (until);

-- Which job comes after which.
CREATE TABLE links (
    child INTEGER NOT NULL,
    position INTEGER NOT NULL,
    parent INTEGER NOT NULL,
    PRIMARY KEY (child, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX links_parent ON links (parent, child);

CREATE TABLE lanes (
    name TEXT PRIMARY KEY,
    slots INTEGER,
    gap REAL,  -- seconds between starts
    burst INTEGER NOT NULL,
    running INTEGER NOT NULL DEFAULT 0,
    arrival REAL NOT NULL DEFAULT 0,  -- the theoretical arrival time of GCRA
    room INTEGER NOT NULL DEFAULT 0,  -- how many it lets through now
    next REAL  -- when its rate will let through one more that waits
) STRICT, WITHOUT ROWID;
CREATE INDEX lanes_next ON lanes (next) WHERE next IS NOT NULL;

CREATE TABLE paused (task TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;

CREATE TABLE schedules (
    name TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    task TEXT NOT NULL,
    args TEXT NOT NULL,
    kwargs TEXT NOT NULL,
    options TEXT NOT NULL,
    cron TEXT,
    every REAL,
    zone TEXT NOT NULL,
    missed TEXT NOT NULL,
    paused INTEGER NOT NULL,
    next REAL,
    last REAL,
    problem TEXT NOT NULL
) STRICT, WITHOUT ROWID;
