-- How many unfinished jobs each owner has.
CREATE TABLE callers (
    owner TEXT PRIMARY KEY,
    unfinished INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO callers SELECT owner, count(*) FROM jobs WHERE ended IS NULL GROUP BY owner;

CREATE TRIGGER jobs_begun AFTER INSERT ON jobs WHEN NEW.ended IS NULL BEGIN
    INSERT INTO callers VALUES (NEW.owner, 1)
        ON CONFLICT (owner) DO UPDATE SET unfinished = unfinished + 1;
END;
CREATE TRIGGER jobs_over AFTER UPDATE OF ended ON jobs
WHEN OLD.ended IS NULL AND NEW.ended IS NOT NULL BEGIN
    UPDATE callers SET unfinished = unfinished - 1 WHERE owner = NEW.owner;
END;
CREATE TRIGGER jobs_revived AFTER UPDATE OF ended ON jobs
WHEN OLD.ended IS NOT NULL AND NEW.ended IS NULL BEGIN
    INSERT INTO callers VALUES (NEW.owner, 1)
        ON CONFLICT (owner) DO UPDATE SET unfinished = unfinished + 1;
END;
