-- each: tell(id, person, teller)
-- Note who is to be told how a job ends, and by whom.
UPDATE jobs SET person = :person, teller = :teller
    WHERE seq = (SELECT n.seq FROM names AS n WHERE n.id = :id);

-- each: untold(node, most)
-- Take over what is to be told: with one process on the file, nobody else is about it.
UPDATE jobs SET teller = :node
    WHERE teller IS NOT NULL AND ended IS NOT NULL AND teller <> :node;
INSERT INTO result SELECT :i, '[' || coalesce((
        SELECT group_concat(row) FROM (
            SELECT r.row AS row FROM jobs AS j CROSS JOIN brief_rows AS r ON r.seq = j.seq
            WHERE j.teller IS NOT NULL AND j.ended IS NOT NULL ORDER BY j.ended LIMIT :most
        )
    ), '') || ']';

-- name: told(verbs)
-- Note that people were told.
UPDATE jobs SET teller = NULL, delivered = 1
    WHERE teller IS NOT NULL AND ended IS NOT NULL AND id IN (
        SELECT d.value FROM json_each(:verbs) AS v CROSS JOIN json_each(v.value, '$.ids') AS d
    );
INSERT INTO answer (json) SELECT json_group_array(NULL) FROM json_each(:verbs);
