-- each: learn(tasks, now, oldest, most)
-- Keep what workers say of their tasks, and forget what nobody has spoken of for long.
INSERT INTO tasks SELECT json_extract(value, '$.name'), json_extract(value, '$.options'),
        json_extract(value, '$.version'), json_extract(value, '$.description'), :now
    FROM json_each(:tasks) WHERE true
    ON CONFLICT (name) DO UPDATE SET options = excluded.options, learned = excluded.learned,
        version = CASE WHEN excluded.description IS NULL THEN version ELSE excluded.version END,
        description = coalesce(excluded.description, description);
INSERT INTO result SELECT :i, json_group_array(name) FROM tasks
    WHERE learned < :oldest OR name IN (
        SELECT name FROM tasks ORDER BY learned DESC, name LIMIT -1 OFFSET :most);
DELETE FROM tasks WHERE name IN (
    SELECT f.value FROM result AS r CROSS JOIN json_each(r.json) AS f WHERE r.i = :i);

-- name: tasks(verbs)
-- What is known of all tasks, by name.
INSERT INTO answer (json) SELECT '[' || group_concat(json) || ']' FROM (
    SELECT '[' || coalesce((
        SELECT group_concat(row) FROM (
            SELECT json_array(name, options, version, description, learned) AS row
            FROM tasks ORDER BY name
        )
    ), '') || ']' AS json FROM json_each(:verbs)
);
