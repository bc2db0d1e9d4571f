-- One table for each topic. Each row keeps its record's place (topic_id, "partition", "offset")
-- and Kafka timestamp; the primary key starts with the event time, as a hypertable demands.

CREATE TABLE IF NOT EXISTS instruments (
    symbol text NOT NULL,
    company text NOT NULL,
    aliases text[] NOT NULL,
    sector text NOT NULL,
    calendar text NOT NULL,
    listed_from date,
    listed_to date,
    kafka_ts timestamptz NOT NULL,
    topic_id text NOT NULL,
    "partition" integer NOT NULL,
    "offset" bigint NOT NULL,
    PRIMARY KEY (symbol, topic_id, "partition", "offset")
);

CREATE TABLE IF NOT EXISTS news (
    id text NOT NULL,
    source text NOT NULL,
    published_at timestamptz NOT NULL,
    headline text NOT NULL,
    revision integer NOT NULL,
    status text NOT NULL,
    received_at timestamptz,
    body text NOT NULL,
    url text NOT NULL,
    symbols text[] NOT NULL,
    lang text NOT NULL,
    kafka_ts timestamptz NOT NULL,
    topic_id text NOT NULL,
    "partition" integer NOT NULL,
    "offset" bigint NOT NULL,
    PRIMARY KEY (published_at, topic_id, "partition", "offset")
);
CREATE INDEX IF NOT EXISTS news_id ON news (id, revision);

CREATE TABLE IF NOT EXISTS sentiments (
    article_id text NOT NULL,
    revision integer NOT NULL,
    status text NOT NULL,
    symbol text NOT NULL,
    source text NOT NULL,
    published_at timestamptz NOT NULL,
    available_at timestamptz NOT NULL,
    scored_at timestamptz NOT NULL,
    negative double precision NOT NULL,
    neutral double precision NOT NULL,
    positive double precision NOT NULL,
    relevance double precision NOT NULL,
    model text NOT NULL,
    text_hash text NOT NULL,
    headline text NOT NULL,
    n_chars bigint NOT NULL,
    duplicate boolean NOT NULL,
    assumed_times boolean NOT NULL,
    sketch bytea NOT NULL,
    kafka_ts timestamptz NOT NULL,
    topic_id text NOT NULL,
    "partition" integer NOT NULL,
    "offset" bigint NOT NULL,
    PRIMARY KEY (available_at, topic_id, "partition", "offset")
);
CREATE INDEX IF NOT EXISTS sentiments_symbol ON sentiments (symbol, available_at DESC);
CREATE INDEX IF NOT EXISTS sentiments_article ON sentiments (article_id, revision);

CREATE TABLE IF NOT EXISTS ticks (
    symbol text NOT NULL,
    ts timestamptz NOT NULL,
    price double precision NOT NULL,
    size double precision NOT NULL,
    bid double precision,
    ask double precision,
    bid_size double precision,
    ask_size double precision,
    conditions text NOT NULL,
    exchange text NOT NULL,
    regular boolean NOT NULL,
    seq bigint,
    kafka_ts timestamptz NOT NULL,
    topic_id text NOT NULL,
    "partition" integer NOT NULL,
    "offset" bigint NOT NULL,
    PRIMARY KEY (ts, topic_id, "partition", "offset")
);
CREATE INDEX IF NOT EXISTS ticks_symbol ON ticks (symbol, ts DESC);

-- Bars that came in (origin 'bar', of (bar_start, bar_end]) and made from trades ('pane', [start, end)).
CREATE TABLE IF NOT EXISTS bars (
    origin text NOT NULL CHECK (origin IN ('bar', 'pane')),
    symbol text NOT NULL,
    bar_start timestamptz NOT NULL,
    bar_end timestamptz NOT NULL,
    open double precision NOT NULL,
    high double precision NOT NULL,
    low double precision NOT NULL,
    close double precision NOT NULL,
    volume double precision NOT NULL,
    adj_close double precision,
    vwap double precision,
    n_trades bigint,
    notional double precision,
    signed_volume double precision,
    kafka_ts timestamptz NOT NULL,
    topic_id text NOT NULL,
    "partition" integer NOT NULL,
    "offset" bigint NOT NULL,
    PRIMARY KEY (bar_end, topic_id, "partition", "offset")
);
CREATE INDEX IF NOT EXISTS bars_symbol ON bars (symbol, bar_end DESC);

CREATE TABLE IF NOT EXISTS context (
    symbol text NOT NULL,
    source text NOT NULL,
    metric text NOT NULL,
    value double precision NOT NULL,
    ts timestamptz NOT NULL,
    received_at timestamptz,
    kafka_ts timestamptz NOT NULL,
    topic_id text NOT NULL,
    "partition" integer NOT NULL,
    "offset" bigint NOT NULL,
    PRIMARY KEY (ts, topic_id, "partition", "offset")
);
CREATE INDEX IF NOT EXISTS context_symbol ON context (symbol, metric, ts DESC);

CREATE TABLE IF NOT EXISTS actions (
    symbol text NOT NULL,
    kind text NOT NULL,
    ex_date date NOT NULL,
    value double precision NOT NULL,
    announced_at timestamptz NOT NULL,
    kafka_ts timestamptz NOT NULL,
    topic_id text NOT NULL,
    "partition" integer NOT NULL,
    "offset" bigint NOT NULL,
    PRIMARY KEY (announced_at, topic_id, "partition", "offset")
);
CREATE INDEX IF NOT EXISTS actions_symbol ON actions (symbol, ex_date);

CREATE TABLE IF NOT EXISTS clock (
    kind text NOT NULL,
    at timestamptz NOT NULL,
    calendar text NOT NULL,
    session date,
    kafka_ts timestamptz NOT NULL,
    topic_id text NOT NULL,
    "partition" integer NOT NULL,
    "offset" bigint NOT NULL,
    PRIMARY KEY (at, topic_id, "partition", "offset")
);

-- What the symbols of one partition did in one market interval: [symbol, sector, move, values].
CREATE TABLE IF NOT EXISTS pane_ends (
    interval_end timestamptz NOT NULL,
    source_partition bigint NOT NULL,
    names text[] NOT NULL,
    symbols jsonb NOT NULL,
    more boolean NOT NULL,
    kafka_ts timestamptz NOT NULL,
    topic_id text NOT NULL,
    "partition" integer NOT NULL,
    "offset" bigint NOT NULL,
    PRIMARY KEY (interval_end, topic_id, "partition", "offset")
);

-- All symbols in one market interval. It goes to every partition of its topic: once a row here.
CREATE TABLE IF NOT EXISTS market_panes (
    interval_end timestamptz NOT NULL,
    n_partitions bigint NOT NULL,
    n_symbols bigint NOT NULL,
    benchmark double precision,
    benchmark_symbol text NOT NULL,
    mean double precision,
    spread double precision,
    breadth double precision,
    sectors jsonb NOT NULL,
    ranked jsonb NOT NULL,
    kafka_ts timestamptz NOT NULL,
    topic_id text NOT NULL,
    "partition" integer NOT NULL,
    "offset" bigint NOT NULL,
    PRIMARY KEY (interval_end, topic_id, "partition", "offset")
);

-- The names of signals.features, in order.
CREATE TABLE IF NOT EXISTS feature_sets (
    feature_set text NOT NULL,
    version integer NOT NULL,
    names text[] NOT NULL,
    PRIMARY KEY (feature_set, version)
);

CREATE TABLE IF NOT EXISTS signals (
    signal_id text NOT NULL,
    signal_key text NOT NULL,
    revision integer NOT NULL,
    symbol text NOT NULL,
    as_of timestamptz NOT NULL,
    valid_until timestamptz NOT NULL,
    horizon text NOT NULL,
    trigger text NOT NULL,
    trigger_ref text NOT NULL,
    direction text NOT NULL,
    p_bearish double precision NOT NULL,
    p_neutral double precision NOT NULL,
    p_bullish double precision NOT NULL,
    confidence double precision NOT NULL,
    score double precision NOT NULL,
    expected_return_bps double precision,
    actionable boolean NOT NULL,
    abstain_reason text,
    model_name text NOT NULL,
    model_version text NOT NULL,
    model_role text NOT NULL,
    feature_set text NOT NULL,
    feature_set_version integer NOT NULL,
    policy_id text NOT NULL,
    build text NOT NULL,
    features double precision[] NOT NULL,
    features_by_name jsonb,  -- set only where the names are not those of feature_sets
    reasons text[] NOT NULL,
    evidence text[] NOT NULL,
    sentiment_models text[] NOT NULL,
    positions jsonb NOT NULL,
    set_off_by text NOT NULL,
    last_tick_age_s double precision,
    last_news_age_s double precision,
    model_age_s double precision,
    emitted_at timestamptz NOT NULL,
    kafka_ts timestamptz NOT NULL,
    topic_id text NOT NULL,
    "partition" integer NOT NULL,
    "offset" bigint NOT NULL,
    PRIMARY KEY (as_of, signal_id)
);
CREATE INDEX IF NOT EXISTS signals_symbol ON signals (symbol, as_of DESC);
CREATE INDEX IF NOT EXISTS signals_key ON signals (signal_key);

-- contributions: feature, value and log_odds each, the largest first; with base they sum to log_odds.
-- A reason says why there are none.
CREATE TABLE IF NOT EXISTS signal_explanations (
    signal_id text NOT NULL,
    signal_key text NOT NULL,
    revision integer NOT NULL,
    symbol text NOT NULL,
    as_of timestamptz NOT NULL,
    model_version text NOT NULL,
    base double precision,
    log_odds double precision,
    contributions jsonb NOT NULL,
    reason text,
    kafka_ts timestamptz NOT NULL,
    topic_id text NOT NULL,
    "partition" integer NOT NULL,
    "offset" bigint NOT NULL,
    PRIMARY KEY (as_of, signal_id)
);
CREATE INDEX IF NOT EXISTS signal_explanations_signal ON signal_explanations (signal_id);

-- What another model said of the same moments: the challenger's, under the champion's signal_id.
CREATE TABLE IF NOT EXISTS shadow_signals (LIKE signals INCLUDING ALL);

-- What became of a signal, whichever model made it (`tapewire outcomes`): one row a signal_id.
-- `y` is 0 bearish, 1 neutral, 2 bullish; NULL with `left_out`, which says why there is none.
-- `matured_at` is event time: when the last price that the label needs was known.
CREATE TABLE IF NOT EXISTS outcomes (
    signal_id text NOT NULL,
    as_of timestamptz NOT NULL,
    symbol text NOT NULL,
    horizon text NOT NULL,
    entry_at timestamptz,
    exit_at timestamptz,
    forward_return double precision,
    y smallint CHECK (y BETWEEN 0 AND 2),
    left_out text,
    matured_at timestamptz,
    PRIMARY KEY (as_of, signal_id),
    CHECK ((y IS NULL) = (left_out IS NOT NULL))
);

CREATE TABLE IF NOT EXISTS late_events (
    source_topic text NOT NULL,
    source_partition integer NOT NULL,
    source_offset bigint NOT NULL,
    symbol text NOT NULL,
    ts timestamptz NOT NULL,
    late_by_s double precision NOT NULL,
    reason text NOT NULL,
    payload text NOT NULL,
    kafka_ts timestamptz NOT NULL,
    topic_id text NOT NULL,
    "partition" integer NOT NULL,
    "offset" bigint NOT NULL,
    PRIMARY KEY (ts, topic_id, "partition", "offset")
);
CREATE INDEX IF NOT EXISTS late_events_symbol ON late_events (symbol, ts DESC);

CREATE TABLE IF NOT EXISTS dead_letters (
    role text NOT NULL,
    source_topic text NOT NULL,
    source_partition integer NOT NULL,
    source_offset bigint NOT NULL,
    source_kafka_ts timestamptz NOT NULL,
    reason text NOT NULL,
    key bytea,
    payload bytea NOT NULL,
    n_bytes bigint NOT NULL,
    kafka_ts timestamptz NOT NULL,
    topic_id text NOT NULL,
    "partition" integer NOT NULL,
    "offset" bigint NOT NULL,
    PRIMARY KEY (kafka_ts, topic_id, "partition", "offset")
);

-- The next offset that archive reads; it moves in the transaction that writes the rows before it.
CREATE TABLE IF NOT EXISTS positions (
    topic text NOT NULL,
    topic_id text NOT NULL,
    "partition" integer NOT NULL,
    next_offset bigint NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic_id, "partition")
);

-- What another sentiment model says of stored articles (`tapewire sentiment rescore`): as-if history.
-- Nothing that tells what was known reads it, so it stands apart from `sentiments`. available_at is
-- when the model would have said it; rescored_at when it did. The place is the article's.
CREATE TABLE IF NOT EXISTS rescores (
    LIKE sentiments,
    rescored_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (model, topic_id, "partition", "offset", symbol),
    CHECK (assumed_times)
);
CREATE INDEX IF NOT EXISTS rescores_article ON rescores (article_id, revision, model);
CREATE INDEX IF NOT EXISTS rescores_symbol ON rescores (symbol, model, available_at DESC);
