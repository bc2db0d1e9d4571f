-- What was known at a moment, and bars of any width. The bodies are bound when they are made, so
-- they run under any search_path, and are inlined where they are called. Intervals count in UTC.

CREATE INDEX IF NOT EXISTS bars_known ON bars (symbol, bar_end DESC) WHERE origin = 'bar';
CREATE INDEX IF NOT EXISTS news_symbols ON news USING gin (symbols);

-- Each article revision with the moment from which it was known.
CREATE OR REPLACE VIEW news_available AS
SELECT
    id, revision, status, source, published_at, received_at,
    greatest(published_at, coalesce(received_at, kafka_ts)) AS available_at,
    headline, body, url, symbols, lang, kafka_ts, topic_id, "partition", "offset"
FROM news;

COMMENT ON VIEW news_available IS
'Article revisions; available_at is the later of published and received (else Kafka''s timestamp).
Example: SELECT id, available_at - published_at AS delay FROM news_available ORDER BY 2 DESC';

-- A price that reached the log after t was not known at t, whatever time it bears. At one time a
-- trade goes before a bar.
CREATE OR REPLACE FUNCTION asof_price(symbol text, t timestamptz)
RETURNS TABLE (price double precision, ts timestamptz, age interval)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT p.price, p.ts, asof_price.t - p.ts
    FROM (
        (
            SELECT k.price, k.ts, 0
            FROM ticks k
            WHERE k.symbol = asof_price.symbol
                AND k.ts <= asof_price.t AND k.kafka_ts <= asof_price.t
            ORDER BY
                k.ts DESC, k.kafka_ts DESC, k.topic_id DESC, k."partition" DESC, k."offset" DESC
            LIMIT 1
        )
        UNION ALL
        (
            SELECT b.close, b.bar_end, 1
            FROM bars b
            WHERE b.origin = 'bar' AND b.symbol = asof_price.symbol
                AND b.bar_end <= asof_price.t AND b.kafka_ts <= asof_price.t
            ORDER BY
                b.bar_end DESC, b.kafka_ts DESC, b.topic_id DESC, b."partition" DESC,
                b."offset" DESC
            LIMIT 1
        )
    ) AS p (price, ts, rank)
    ORDER BY p.ts DESC, p.rank
    LIMIT 1;
END;

COMMENT ON FUNCTION asof_price IS
'The last price known at t: a trade, or a bar''s close at its end, that was in the log by t.
Example: SELECT * FROM asof_price(''AAPL'', ''2024-03-05 17:00Z'')';

-- Of one revision's scores by one model the first available stands, as in the score role.
CREATE OR REPLACE FUNCTION sentiment_known_at(symbol text, t timestamptz, lookback interval)
RETURNS TABLE (
    article_id text, model text, revision integer, status text, source text,
    published_at timestamptz, available_at timestamptz, negative double precision,
    neutral double precision, positive double precision, polarity double precision,
    relevance double precision, duplicate boolean, headline text
)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT
        s.article_id, s.model, s.revision, s.status, s.source, s.published_at, s.available_at,
        s.negative, s.neutral, s.positive, s.positive - s.negative, s.relevance, s.duplicate,
        s.headline
    FROM sentiments s
    WHERE s.symbol = sentiment_known_at.symbol
        AND s.available_at <= sentiment_known_at.t
        AND s.available_at > (sentiment_known_at.t AT TIME ZONE 'UTC' - lookback) AT TIME ZONE 'UTC'
        AND s.published_at > (sentiment_known_at.t AT TIME ZONE 'UTC' - lookback) AT TIME ZONE 'UTC'
        AND s.status <> 'retracted'
        AND NOT EXISTS (
            SELECT FROM sentiments o
            WHERE o.article_id = s.article_id
                AND o.symbol = sentiment_known_at.symbol
                AND o.available_at <= sentiment_known_at.t
                AND o.revision >= s.revision
                AND (
                    o.revision > s.revision
                    OR o.model = s.model
                    AND (o.available_at, o.kafka_ts, o.topic_id, o."partition", o."offset")
                    < (s.available_at, s.kafka_ts, s.topic_id, s."partition", s."offset")
                )
        )
    ORDER BY s.available_at DESC, s.article_id, s.model;
END;

COMMENT ON FUNCTION sentiment_known_at IS
'The scores that stood at t, one an article and model, of articles published in (t - lookback, t].
Example: SELECT avg(polarity) FROM sentiment_known_at(''AAPL'', ''2024-03-05 17:00Z'', ''1 day'')';

CREATE OR REPLACE FUNCTION news_known_at(symbol text, t timestamptz, lookback interval)
RETURNS TABLE (
    id text, revision integer, status text, source text, published_at timestamptz,
    available_at timestamptz, headline text, body text, url text, symbols text[]
)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    WITH standing AS NOT MATERIALIZED (
        SELECT n.*
        FROM news_available n
        WHERE n.published_at > (news_known_at.t AT TIME ZONE 'UTC' - lookback) AT TIME ZONE 'UTC'
            AND n.published_at <= news_known_at.t
            AND n.available_at <= news_known_at.t
            AND n.status <> 'retracted'
            AND NOT EXISTS (
                SELECT FROM news_available o
                WHERE o.id = n.id
                    AND o.available_at <= news_known_at.t
                    AND o.revision >= n.revision
                    AND (
                        o.revision > n.revision
                        OR (o.available_at, o.kafka_ts, o.topic_id, o."partition", o."offset")
                        < (n.available_at, n.kafka_ts, n.topic_id, n."partition", n."offset")
                    )
            )
    ),
    about AS (
        SELECT n.* FROM standing n WHERE n.symbols @> ARRAY[news_known_at.symbol]
        UNION
        SELECT n.*
        FROM standing n
        WHERE n.id IN (
            SELECT s.article_id
            FROM sentiment_known_at(news_known_at.symbol, news_known_at.t, lookback) s
        )
    )
    SELECT
        n.id, n.revision, n.status, n.source, n.published_at, n.available_at, n.headline, n.body,
        n.url, n.symbols
    FROM about n
    ORDER BY n.published_at DESC, n.available_at DESC, n.id;
END;

COMMENT ON FUNCTION news_known_at IS
'The article revisions on a symbol that stood at t, published in (t - lookback, t], newest first.
Example: SELECT id, headline FROM news_known_at(''AAPL'', ''2024-03-05 17:00Z'', ''7 days'')';

CREATE OR REPLACE FUNCTION signals_known_at(t timestamptz, symbol text DEFAULT NULL)
RETURNS SETOF signals
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    WITH RECURSIVE known (symbol) AS (
        SELECT coalesce(
            signals_known_at.symbol, (SELECT s.symbol FROM signals s ORDER BY s.symbol LIMIT 1)
        )
        UNION ALL
        SELECT (
            SELECT s.symbol FROM signals s WHERE s.symbol > known.symbol ORDER BY s.symbol LIMIT 1
        )
        FROM known
        WHERE known.symbol IS NOT NULL AND signals_known_at.symbol IS NULL
    )
    SELECT stood.*
    FROM known
    CROSS JOIN LATERAL (
        SELECT s.*
        FROM signals s
        WHERE s.symbol = known.symbol
            AND s.as_of <= signals_known_at.t
            AND NOT EXISTS (
                SELECT FROM signals o
                WHERE o.signal_key = s.signal_key
                    AND o.symbol = s.symbol
                    AND o.revision > s.revision
                    AND o.as_of <= signals_known_at.t
            )
        ORDER BY s.as_of DESC, s.kafka_ts DESC, s.topic_id DESC, s."partition" DESC, s."offset" DESC
        LIMIT 1
    ) AS stood;
END;

COMMENT ON FUNCTION signals_known_at IS
'The signal of each symbol, or of one, that stood at t: of the highest revisions the newest as_of.
Example: SELECT symbol, direction, score FROM signals_known_at(''2024-03-05 17:00Z'')';

-- The grid is time_bucket's: weeks start on Monday. Topics made anew follow each other by age.
CREATE OR REPLACE FUNCTION bars(
    symbol text, width interval, since timestamptz, until timestamptz
)
RETURNS TABLE (
    bar_start timestamptz, bar_end timestamptz, open double precision, high double precision,
    low double precision, close double precision, volume double precision, n_trades bigint,
    vwap double precision
)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    WITH parts AS (
        SELECT
            date_bin(width, k.ts, '2000-01-03 00:00Z') AS bar_start,
            k.topic_id,
            min(k.kafka_ts) AS began,
            array_agg(k.price ORDER BY k."partition", k."offset") AS prices,
            min(k.price) AS low,
            max(k.price) AS high,
            sum(k.size ORDER BY k."partition", k."offset") AS volume,
            sum(k.price * k.size ORDER BY k."partition", k."offset") AS notional,
            count(*) AS n_trades
        FROM ticks k
        WHERE k.symbol = bars.symbol
            AND k.ts >= date_bin(
                width,
                (since AT TIME ZONE 'UTC' + width - interval '1 microsecond') AT TIME ZONE 'UTC',
                '2000-01-03 00:00Z'
            )
            AND k.ts < date_bin(width, until, '2000-01-03 00:00Z')
        GROUP BY 1, 2
    )
    SELECT
        p.bar_start,
        (p.bar_start AT TIME ZONE 'UTC' + width) AT TIME ZONE 'UTC',
        (array_agg(p.prices[1] ORDER BY p.began, p.topic_id))[1],
        max(p.high),
        min(p.low),
        (array_agg(p.prices[p.n_trades] ORDER BY p.began DESC, p.topic_id DESC))[1],
        sum(p.volume ORDER BY p.began, p.topic_id),
        sum(p.n_trades)::bigint,
        sum(p.notional ORDER BY p.began, p.topic_id)
        / nullif(sum(p.volume ORDER BY p.began, p.topic_id), 0)
    FROM parts p
    GROUP BY p.bar_start
    ORDER BY p.bar_start;
END;

COMMENT ON FUNCTION bars IS
'Bars [bar_start, bar_end) of all stored trades, those that lie whole in [since, until].
Example: SELECT * FROM bars(''AAPL'', ''5 minutes'', ''2024-03-05 14:30Z'', ''2024-03-05 21:00Z'')';

-- A label for a look, not training's: no costs, no VWAP, no splits.
CREATE OR REPLACE FUNCTION signals_with_returns(holding interval, of_symbol text DEFAULT NULL)
RETURNS TABLE (
    signal_id text, symbol text, as_of timestamptz, trigger text, direction text,
    score double precision, confidence double precision, actionable boolean, model_version text,
    entry_at timestamptz, entry_price double precision,
    exit_at timestamptz, exit_price double precision, return_bps double precision
)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT
        s.signal_id, s.symbol, s.as_of, s.trigger, s.direction, s.score, s.confidence,
        s.actionable, s.model_version, entry.ts, entry.price, leave.ts, leave.price,
        1e4 * ln(leave.price / entry.price)
    FROM signals s
    CROSS JOIN LATERAL (SELECT (s.as_of AT TIME ZONE 'UTC' + holding) AT TIME ZONE 'UTC') AS d (due)
    LEFT JOIN LATERAL (
        SELECT greatest(
            (SELECT k.ts FROM ticks k WHERE k.symbol = s.symbol ORDER BY k.ts DESC LIMIT 1),
            (
                SELECT b.bar_end
                FROM bars b
                WHERE b.origin = 'bar' AND b.symbol = s.symbol
                ORDER BY b.bar_end DESC
                LIMIT 1
            )
        )
    ) AS newest (ts) ON true
    LEFT JOIN LATERAL (
        SELECT p.ts, p.price
        FROM (
            (
                SELECT k.ts, k.price, 0
                FROM ticks k
                WHERE k.symbol = s.symbol AND k.ts > s.as_of AND k.ts <= d.due
                ORDER BY
                    k.ts, k.kafka_ts, k.topic_id, k."partition",
                    k."offset"
                LIMIT 1
            )
            UNION ALL
            (
                SELECT b.bar_end, b.close, 1
                FROM bars b
                WHERE b.origin = 'bar' AND b.symbol = s.symbol
                    AND b.bar_end > s.as_of AND b.bar_end <= d.due
                ORDER BY
                    b.bar_end, b.kafka_ts, b.topic_id, b."partition",
                    b."offset"
                LIMIT 1
            )
        ) AS p (ts, price, rank)
        ORDER BY p.ts, p.rank
        LIMIT 1
    ) AS entry ON true
    LEFT JOIN LATERAL (
        SELECT p.ts, p.price
        FROM (
            (
                SELECT k.ts, k.price, 0
                FROM ticks k
                WHERE k.symbol = s.symbol AND k.ts > s.as_of AND k.ts <= d.due
                ORDER BY
                    k.ts DESC, k.kafka_ts DESC, k.topic_id DESC, k."partition" DESC,
                    k."offset" DESC
                LIMIT 1
            )
            UNION ALL
            (
                SELECT b.bar_end, b.close, 1
                FROM bars b
                WHERE b.origin = 'bar' AND b.symbol = s.symbol
                    AND b.bar_end > s.as_of AND b.bar_end <= d.due
                ORDER BY
                    b.bar_end DESC, b.kafka_ts DESC, b.topic_id DESC, b."partition" DESC,
                    b."offset" DESC
                LIMIT 1
            )
        ) AS p (ts, price, rank)
        ORDER BY p.ts DESC, p.rank
        LIMIT 1
    ) AS leave ON newest.ts >= d.due
    WHERE of_symbol IS NULL OR s.symbol = of_symbol;
END;

COMMENT ON FUNCTION signals_with_returns IS
'Signals with the first price after as_of, the last by as_of + holding, and the log return between
them in bps; exit and return are NULL until a price at or after as_of + holding is stored.
Example: SELECT direction, avg(return_bps) FROM signals_with_returns(''30 minutes'') GROUP BY 1';
