-- Who is told in words how a job ends, and the queue's process that is to do that, until it is done.
ALTER TABLE jobs ADD COLUMN person TEXT;
ALTER TABLE jobs ADD COLUMN teller TEXT;
CREATE INDEX jobs_untold ON jobs (ended) WHERE teller IS NOT NULL AND ended IS NOT NULL;

-- What workers say of their tasks.
CREATE TABLE tasks (
    name TEXT PRIMARY KEY,
    options TEXT NOT NULL,
    version TEXT NOT NULL,
    description TEXT,
    learned REAL NOT NULL  -- when somebody last spoke of it
) STRICT, WITHOUT ROWID;
