-- Note who is to be told how jobs end, and by whom.
CREATE FUNCTION pg_temp.tell(verbs text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v record;
BEGIN
    FOR v IN SELECT * FROM json_to_recordset(verbs::json) AS e (id text, person text, teller text)
        ORDER BY e.id
    LOOP
        UPDATE jobs AS j SET person = v.person, teller = v.teller
            WHERE j.seq = pg_temp.seq_of(v.id);
    END LOOP;
    RETURN pg_temp.nothing(verbs);
END $$;

-- Take over what processes that are no more were to tell.
CREATE FUNCTION pg_temp.untold(verbs text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text := '';
    v record;
BEGIN
    FOR v IN SELECT * FROM json_to_recordset(verbs::json) AS v (node text, most int) LOOP
        INSERT INTO nodes (name) VALUES (v.node) ON CONFLICT DO NOTHING;
        UPDATE jobs SET teller = v.node WHERE seq IN (
            SELECT j.seq FROM jobs AS j
            WHERE j.teller IS NOT NULL AND j.ended IS NOT NULL AND j.teller <> v.node
                AND NOT EXISTS (SELECT FROM nodes AS n WHERE n.name = j.teller)
            ORDER BY j.ended LIMIT v.most FOR UPDATE SKIP LOCKED
        );
        answer := answer || ',[' || coalesce((
            SELECT string_agg(pg_temp.job_row(j, false), ',' ORDER BY j.ended) FROM jobs AS j
            WHERE j.seq IN (
                SELECT w.seq FROM jobs AS w
                WHERE w.teller IS NOT NULL AND w.ended IS NOT NULL AND w.teller = v.node
                ORDER BY w.ended LIMIT v.most
            )
        ), '') || ']';
    END LOOP;
    RETURN '[' || substr(answer, 2) || ']';
END $$;

-- Note that people were told.
CREATE FUNCTION pg_temp.told(verbs text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    UPDATE jobs AS j SET teller = NULL, delivered = true FROM (
        SELECT DISTINCT each FROM json_array_elements(verbs::json) AS v,
            json_array_elements_text(v -> 'ids') AS each ORDER BY each
    ) AS d
    WHERE j.id = d.each AND j.teller IS NOT NULL AND j.ended IS NOT NULL;
    RETURN pg_temp.nothing(verbs);
END $$;
