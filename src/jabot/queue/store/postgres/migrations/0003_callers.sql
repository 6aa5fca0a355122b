-- How many unfinished jobs each owner has: the sum of what the server's processes have counted, each
-- in a line of its own, so that nobody waits for another. Upkeep adds up those of processes that
-- are no more (0 stands for them).
CREATE TABLE unfinished (
    owner text COLLATE "C" NOT NULL,
    process int NOT NULL,
    n bigint NOT NULL,
    PRIMARY KEY (owner, process)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
INSERT INTO unfinished SELECT owner, 0, count(*) FROM jobs WHERE ended IS NULL GROUP BY owner;

CREATE FUNCTION count_unfinished(owners text[], changes bigint[]) RETURNS void LANGUAGE sql AS $$
    INSERT INTO jabot.unfinished AS u
        SELECT owner, pg_backend_pid(), n FROM unnest(owners, changes) AS c (owner, n)
        ON CONFLICT (owner, process) DO UPDATE SET n = u.n + excluded.n
$$;

CREATE OR REPLACE FUNCTION tally_added() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO jabot.tally SELECT task, state, count(*) FROM added GROUP BY task, state;
    PERFORM jabot.count_unfinished(array_agg(owner), array_agg(n)) FROM (
        SELECT owner, count(*) AS n FROM added WHERE ended IS NULL GROUP BY owner
    ) AS each HAVING count(*) > 0;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION tally_changed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO jabot.tally SELECT task, state, sum(n) FROM (
        SELECT task, state, 1 AS n FROM changed UNION ALL SELECT task, state, -1 FROM was
    ) AS each GROUP BY task, state HAVING sum(n) <> 0;
    PERFORM jabot.count_unfinished(array_agg(owner), array_agg(n)) FROM (
        SELECT owner, sum(m) AS n FROM (
            SELECT owner, 1 AS m FROM changed WHERE ended IS NULL
            UNION ALL SELECT owner, -1 FROM was WHERE ended IS NULL
        ) AS one GROUP BY owner HAVING sum(m) <> 0
    ) AS each HAVING count(*) > 0;
    RETURN NULL;
END $$;
