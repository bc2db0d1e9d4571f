-- Two group roles for logins of yours: GRANT <schema>_writer TO the workers' login, <schema>_reader
-- to whoever only looks. Neither deletes, truncates or alters; the owner migrates and keeps.

DO $$
DECLARE
    own text := current_schema();
    reader text := own || '_reader';
    writer text := own || '_writer';
    written text;
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY[reader, writer] LOOP
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
                EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
            END IF;
        EXCEPTION
            WHEN insufficient_privilege THEN
                RAISE NOTICE '% may not create roles: no roles % and %', current_user, reader, writer
                    USING ERRCODE = 'insufficient_privilege';
                RETURN;
            WHEN duplicate_object OR unique_violation THEN
                NULL;  -- made just now from another database: roles are the cluster's
        END;
    END LOOP;

    EXECUTE format('REVOKE ALL ON SCHEMA %I FROM PUBLIC', own);
    EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA %I FROM PUBLIC', own);
    EXECUTE format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA %I FROM PUBLIC', own);

    EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I, %I', own, reader, writer);
    EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA %I TO %I, %I', own, reader, writer);
    EXECUTE format('GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA %I TO %I', own, reader);
    EXECUTE format(
        'REVOKE EXECUTE ON FUNCTION %I.keep_for(text, interval, boolean) FROM %I', own, reader
    );
    FOREACH written IN ARRAY ARRAY[
        'instruments', 'news', 'sentiments', 'ticks', 'bars', 'context', 'actions', 'clock',
        'pane_ends', 'market_panes',
        'signals', 'signal_explanations', 'shadow_signals', 'outcomes', 'late_events',
        'dead_letters', 'feature_sets', 'positions', 'policies', 'builds', 'ml_models',
        'ml_aliases', 'ml_alias_moves', 'dead_letter_fates', 'rescores'
    ] LOOP
        EXECUTE format('GRANT INSERT ON %I.%I TO %I', own, written, writer);
    END LOOP;
    FOREACH written IN ARRAY ARRAY['positions', 'ml_aliases', 'dead_letter_fates'] LOOP
        EXECUTE format('GRANT UPDATE ON %I.%I TO %I', own, written, writer);
    END LOOP;

    EXECUTE format(
        'ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT SELECT ON TABLES TO %I', own, reader
    );
    EXECUTE format(
        'ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT EXECUTE ON FUNCTIONS TO %I', own, reader
    );
    EXECUTE format(
        'ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT SELECT, INSERT ON TABLES TO %I', own, writer
    );

    -- The archive fills temporary tables; PUBLIC may in most databases.
    IF NOT has_database_privilege(writer, current_database(), 'TEMPORARY') THEN
        EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO %I', current_database(), writer);
    END IF;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE NOTICE '% may not grant on schema %: %', current_user, own, SQLERRM
        USING ERRCODE = 'insufficient_privilege';
END
$$;
