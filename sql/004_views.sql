-- What people ask for first. The same on plain PostgreSQL and TimescaleDB.

-- The latest signal of each symbol: one index probe a symbol, however long the history.
CREATE OR REPLACE VIEW latest_signals AS
WITH RECURSIVE known (symbol) AS (
    (SELECT symbol FROM signals ORDER BY symbol LIMIT 1)
    UNION ALL
    SELECT (SELECT s.symbol FROM signals s WHERE s.symbol > known.symbol ORDER BY s.symbol LIMIT 1)
    FROM known
    WHERE known.symbol IS NOT NULL
)
SELECT latest.*
FROM known
CROSS JOIN LATERAL (
    SELECT *
    FROM signals s
    WHERE s.symbol = known.symbol
    ORDER BY s.as_of DESC, s."offset" DESC
    LIMIT 1
) AS latest;

-- What each symbol is by its newest record; `instruments` keeps what it was before.
CREATE OR REPLACE VIEW latest_instruments AS
SELECT DISTINCT ON (symbol) * FROM instruments ORDER BY symbol, kafka_ts DESC, "offset" DESC;

-- Each signal with its features as one object, name to value.
CREATE OR REPLACE VIEW signal_features AS
SELECT
    s.signal_id, s.symbol, s.as_of, s.trigger, s.direction, s.confidence, s.score, s.actionable,
    s.feature_set, s.feature_set_version,
    coalesce(
        s.features_by_name,
        (
            SELECT jsonb_object_agg(f.name, f.value)
            FROM unnest(n.names, s.features) AS f (name, value)
        ),
        '{}'
    ) AS features
FROM signals s
LEFT JOIN feature_sets n
    ON n.feature_set = s.feature_set AND n.version = s.feature_set_version;

-- Signals that were explained: a row for what each feature added, the largest first.
CREATE OR REPLACE VIEW signal_contributions AS
SELECT
    s.signal_id, s.symbol, s.as_of, s.direction, s.confidence, s.score, s.model_version,
    e.base, e.log_odds AS sum_log_odds, c.rank, c.feature, c.value, c.log_odds
FROM signal_explanations e
JOIN signals s ON s.as_of = e.as_of AND s.signal_id = e.signal_id
CROSS JOIN LATERAL ROWS FROM (
    jsonb_to_recordset(e.contributions)
        AS (feature text, value double precision, log_odds double precision)
) WITH ORDINALITY AS c (feature, value, log_odds, rank);

-- Signals a minute of event time, and how many could be acted on.
CREATE OR REPLACE VIEW signal_rate AS
SELECT
    date_trunc('minute', as_of) AS minute,
    symbol,
    count(*) AS n_signals,
    count(*) FILTER (WHERE actionable) AS n_actionable,
    count(*) FILTER (WHERE direction = 'BULLISH') AS n_bullish,
    count(*) FILTER (WHERE direction = 'BEARISH') AS n_bearish,
    avg(score) AS mean_score
FROM signals
GROUP BY 1, 2;

-- Why signals were not actionable.
CREATE OR REPLACE VIEW abstentions AS
SELECT symbol, abstain_reason, count(*) AS n_signals, max(as_of) AS last_as_of
FROM signals
WHERE NOT actionable
GROUP BY 1, 2;

-- Each article revision with what the models said of each symbol.
CREATE OR REPLACE VIEW article_sentiments AS
SELECT
    n.id AS article_id, n.revision, n.status, n.published_at, n.source, n.headline,
    s.symbol, s.positive - s.negative AS polarity, s.relevance, s.model, s.available_at
FROM news n
JOIN sentiments s ON s.article_id = n.id AND s.revision = n.revision;

-- What was refused, by role, topic and reason.
CREATE OR REPLACE VIEW refused AS
SELECT role, source_topic, reason, count(*) AS n_records, max(kafka_ts) AS last_seen
FROM dead_letters
GROUP BY 1, 2, 3;
