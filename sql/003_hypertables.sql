-- Hypertables where the server has TimescaleDB; elsewhere the tables stay what they are.
-- Intervals: ticks come in by the hundred million, the others must also hold decades of daily bars.

DO $$
DECLARE
    hyper record;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb') THEN
        RETURN;
    END IF;
    FOR hyper IN
        SELECT * FROM (VALUES
            ('ticks', 'ts', interval '1 day'),
            ('bars', 'bar_end', interval '30 days'),
            ('signals', 'as_of', interval '30 days'),
            ('signal_explanations', 'as_of', interval '30 days'),
            ('shadow_signals', 'as_of', interval '30 days'),
            ('outcomes', 'as_of', interval '30 days'),
            ('news', 'published_at', interval '30 days'),
            ('sentiments', 'available_at', interval '30 days'),
            ('context', 'ts', interval '90 days'),
            ('clock', 'at', interval '90 days'),
            ('pane_ends', 'interval_end', interval '90 days'),
            ('market_panes', 'interval_end', interval '90 days'),
            ('late_events', 'ts', interval '30 days'),
            ('dead_letters', 'kafka_ts', interval '30 days')
        ) AS t (name, time_column, chunk)
    LOOP
        BEGIN
            EXECUTE format(
                'SELECT create_hypertable(%L::regclass, by_range(%L, %L::interval), '
                'if_not_exists => true, migrate_data => true, create_default_indexes => false)',
                format('%I.%I', current_schema(), hyper.name), hyper.time_column, hyper.chunk
            );
        EXCEPTION WHEN feature_not_supported OR undefined_function THEN
            RAISE NOTICE '% stays a plain table: %', hyper.name, SQLERRM;
        END;
    END LOOP;
END
$$;
