-- Columnstore, continuous aggregates and their policies, where the server has TimescaleDB's
-- community edition. The Apache edition refuses them (0A000), plain PostgreSQL lacks them: there a
-- notice, and everything answers from the same tables. Nothing is ever dropped unless `keep_for`
-- was asked to.

DO $$
DECLARE
    stored record;
    own text := current_schema();
BEGIN
    IF NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb') THEN
        RAISE NOTICE 'plain PostgreSQL: no columnstore, no continuous aggregates'
            USING ERRCODE = 'feature_not_supported';
        RETURN;
    END IF;

    -- The rest of the primary key in the order lets a late row look into few batches.
    FOR stored IN
        SELECT t.*, h.compression_enabled
        FROM (VALUES
            ('ticks', 'symbol', 'ts DESC, topic_id, "partition", "offset"', interval '7 days'),
            ('bars', 'symbol', 'bar_end DESC, topic_id, "partition", "offset"', '30 days'),
            (
                'sentiments', 'symbol', 'available_at DESC, topic_id, "partition", "offset"',
                '30 days'
            ),
            ('signals', 'symbol', 'as_of DESC, signal_id', '30 days'),
            ('signal_explanations', 'symbol', 'as_of DESC, signal_id', '30 days'),
            ('shadow_signals', 'symbol', 'as_of DESC, signal_id', '30 days'),
            ('outcomes', 'symbol', 'as_of DESC, signal_id', '30 days'),
            ('clock', '"partition"', 'at DESC, topic_id, "offset"', '30 days')
        ) AS t (name, segment_by, order_by, after)
        JOIN timescaledb_information.hypertables h
            ON h.hypertable_schema = own AND h.hypertable_name = t.name
    LOOP
        IF NOT stored.compression_enabled THEN
            EXECUTE format(
                'ALTER TABLE %I SET (timescaledb.compress, '
                'timescaledb.compress_segmentby = %L, timescaledb.compress_orderby = %L)',
                stored.name, stored.segment_by, stored.order_by
            );
        END IF;
        PERFORM add_compression_policy(
            format('%I.%I', own, stored.name)::regclass, stored.after, if_not_exists => true
        );
    END LOOP;

    -- Of trades at one time these cannot tell the first: `bars` can, and reads the ticks.
    CREATE MATERIALIZED VIEW IF NOT EXISTS bars_1m
    WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
    SELECT
        symbol,
        time_bucket(interval '1 minute', ts) AS bar_start,
        first(price, ts) AS open,
        max(price) AS high,
        min(price) AS low,
        last(price, ts) AS close,
        sum(size) AS volume,
        sum(price * size) AS notional,
        count(*) AS n_trades
    FROM ticks
    GROUP BY 1, 2
    WITH NO DATA;

    CREATE MATERIALIZED VIEW IF NOT EXISTS bars_1h
    WITH (timescaledb.continuous, timescaledb.materialized_only = false) AS
    SELECT
        symbol,
        time_bucket(interval '1 hour', bar_start) AS hour_start,
        first(open, bar_start) AS open,
        max(high) AS high,
        min(low) AS low,
        last(close, bar_start) AS close,
        sum(volume) AS volume,
        sum(notional) AS notional,
        sum(n_trades) AS n_trades
    FROM bars_1m
    GROUP BY 1, 2
    WITH NO DATA;

    PERFORM add_continuous_aggregate_policy(
        format('%I.bars_1m', own)::regclass, start_offset => interval '3 days',
        end_offset => interval '5 minutes', schedule_interval => interval '5 minutes',
        if_not_exists => true
    );
    PERFORM add_continuous_aggregate_policy(
        format('%I.bars_1h', own)::regclass, start_offset => interval '3 days',
        end_offset => interval '2 hours', schedule_interval => interval '1 hour',
        if_not_exists => true
    );
EXCEPTION WHEN feature_not_supported THEN
    RAISE NOTICE 'no columnstore, no continuous aggregates: %', SQLERRM
        USING ERRCODE = 'feature_not_supported';
END
$$;

-- Inputs are needed for as long as features look back (250 sessions) and verify should reach.
CREATE OR REPLACE FUNCTION keep_for(
    table_name text, keep interval, force boolean DEFAULT false
) RETURNS text
LANGUAGE plpgsql
SET search_path FROM CURRENT
AS $$
DECLARE
    own text := format('%I.%I', current_schema(), table_name);
    oldest timestamptz := now() - keep;
    time_column text;
    is_hypertable boolean := false;
    n bigint;
BEGIN
    SELECT t.time_column INTO time_column FROM (VALUES
        ('ticks', 'ts'), ('bars', 'bar_end'), ('news', 'published_at'),
        ('sentiments', 'available_at'), ('context', 'ts'), ('actions', 'announced_at'),
        ('clock', 'at'), ('pane_ends', 'interval_end'), ('market_panes', 'interval_end'),
        ('signals', 'as_of'), ('signal_explanations', 'as_of'),
        ('shadow_signals', 'as_of'), ('outcomes', 'as_of'),
        ('late_events', 'ts'), ('dead_letters', 'kafka_ts')
    ) AS t (name, time_column) WHERE t.name = table_name;
    IF time_column IS NULL THEN
        RAISE EXCEPTION 'keep_for: expected a table of events, got %', table_name
            USING ERRCODE = 'invalid_parameter_value',
            HINT = 'one of ticks, bars, news, sentiments, context, actions, clock, pane_ends, '
                'market_panes, signals, signal_explanations, shadow_signals, outcomes, '
                'late_events, dead_letters';
    END IF;
    IF keep IS NULL OR oldest > now() - interval '7 days' THEN
        RAISE EXCEPTION 'keep_for: expected 7 days or more, got %', keep
            USING ERRCODE = 'invalid_parameter_value',
            HINT = 'continuous aggregates refresh the last 3 days, and lose what is gone there';
    END IF;
    IF force IS NOT TRUE AND oldest > now() - interval '400 days'
        AND table_name NOT IN (
            'signals', 'signal_explanations', 'shadow_signals', 'outcomes', 'late_events',
            'dead_letters'
        )
    THEN
        RAISE EXCEPTION 'keep_for: expected 400 days or more of the input %, got %', table_name, keep
            USING ERRCODE = 'invalid_parameter_value',
            HINT = 'features look back 250 sessions; force => true if it may be lost';
    END IF;

    IF EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb') THEN
        is_hypertable := EXISTS (
            SELECT FROM timescaledb_information.hypertables
            WHERE hypertable_schema = current_schema() AND hypertable_name = table_name
        );
    END IF;
    IF is_hypertable THEN
        BEGIN
            PERFORM remove_retention_policy(own::regclass, if_exists => true);
            PERFORM add_retention_policy(own::regclass, drop_after => keep);
            RETURN format('policy: chunks of %s older than %s go once a day', table_name, keep);
        EXCEPTION WHEN feature_not_supported THEN
            SELECT count(*) INTO n FROM drop_chunks(own::regclass, older_than => oldest);
            RETURN format('once: %s chunks of %s before %s dropped', n, table_name, oldest);
        END;
    END IF;
    EXECUTE format('DELETE FROM %s WHERE %I < $1', own, time_column) USING oldest;
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN format('once: %s rows of %s before %s deleted', n, table_name, oldest);
END
$$;

COMMENT ON FUNCTION keep_for IS
'Keep a table''s last `keep` and drop what is older: by a policy where the licence allows one, else now.
Example: SELECT keep_for(''ticks'', ''800 days'')';
