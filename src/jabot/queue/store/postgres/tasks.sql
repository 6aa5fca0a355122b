-- Keep what workers say of their tasks, and forget what nobody has spoken of for long.
CREATE FUNCTION pg_temp.learn(verbs text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text := '';
    v record;
    forgotten text[];
BEGIN
    PERFORM pg_advisory_xact_lock(1784832624, 2);  -- one process at a time
    FOR v IN SELECT * FROM json_to_recordset(verbs::json)
        AS v (tasks json, now float8, oldest float8, most int)
    LOOP
        INSERT INTO tasks AS t
            SELECT w.name, w.options, w.version, w.description, v.now
            FROM json_to_recordset(v.tasks)
                AS w (name text, options text, version text, description text)
            ON CONFLICT (name) DO UPDATE SET options = excluded.options,
                learned = excluded.learned,
                version = CASE WHEN excluded.description IS NULL THEN t.version
                    ELSE excluded.version END,
                description = coalesce(excluded.description, t.description);
        WITH gone AS (
            DELETE FROM tasks WHERE learned < v.oldest OR name IN (
                SELECT name FROM tasks ORDER BY learned DESC, name OFFSET v.most
            ) RETURNING name
        )
        SELECT array_agg(name ORDER BY name) INTO forgotten FROM gone;
        answer := answer || ',' || array_to_json(coalesce(forgotten, '{}'))::text;
    END LOOP;
    RETURN '[' || substr(answer, 2) || ']';
END $$;

-- What is known of all tasks, by name.
CREATE FUNCTION pg_temp.tasks(verbs text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT '[' || string_agg((
        SELECT coalesce(json_agg(json_build_array(
            t.name, t.options, t.version, t.description, t.learned
        ) ORDER BY t.name), '[]') FROM tasks AS t
    )::text, ',') || ']'
    FROM json_array_elements(verbs::json)
$$;
