-- name: tell(verbs)
-- Note who is to be told how jobs end, and by whom.
INSERT INTO tell_one
    SELECT (SELECT n.seq FROM names AS n WHERE n.id = json_extract(value, '$.id')),
        json_extract(value, '$.person'), json_extract(value, '$.teller') FROM json_each(:verbs);
INSERT INTO answer (json) SELECT json_group_array(NULL) FROM json_each(:verbs);

-- name: tell_one(seq, person, teller)
-- The same for one job.
UPDATE jobs SET person = :person, teller = :teller WHERE seq = :seq;

-- name: untold(verbs)
-- Take over what is to be told: with one process on the file, nobody else is about it.
DELETE FROM result;
INSERT INTO untold_one SELECT key, json_extract(value, '$.node'), json_extract(value, '$.most')
    FROM json_each(:verbs);
INSERT INTO answer (json)
    SELECT '[' || group_concat(json) || ']' FROM (SELECT json FROM result ORDER BY i);

-- name: untold_one(i, node, most)
-- The same once.
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
