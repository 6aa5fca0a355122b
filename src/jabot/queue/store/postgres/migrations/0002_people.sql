-- Who is told in words how a job ends, and the queue's process that is to do that, until it is done.
ALTER TABLE jobs ADD COLUMN person text COLLATE "C", ADD COLUMN teller text COLLATE "C";
CREATE INDEX jobs_untold ON jobs (ended) WHERE teller IS NOT NULL AND ended IS NOT NULL;

-- What workers say of their tasks.
CREATE TABLE tasks (
    name text COLLATE "C" PRIMARY KEY,
    options text NOT NULL,
    version text NOT NULL,
    description text,
    learned float8 NOT NULL  -- when somebody last spoke of it
);
