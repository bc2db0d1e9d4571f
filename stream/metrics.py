"""Prometheus metrics of every role, served on loopback."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram, start_http_server

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)

RECORDS = Counter(
    "tapewire_records", "Input records by what became of them", ["role", "topic", "outcome"]
)
SENT = Counter("tapewire_sent", "Records sent, state included", ["role"])
ROWS = Counter("tapewire_archived_rows", "Rows written to SQL", ["table"])
LAG = Gauge("tapewire_lag_records", "Records not yet applied", ["role", "topic", "partition"])
CHECKPOINT_S = Histogram(
    "tapewire_checkpoint_seconds", "One checkpoint of a partition", ["role"], buckets=_SECONDS
)
STAGE_S = Histogram(
    "tapewire_stage_seconds", "Time of one stage for a chunk", ["role", "stage"], buckets=_SECONDS
)
REVISIONS = Counter(
    "tapewire_revised_scores", "Scores that corrected or retracted an earlier one", ["status"]
)
for _status in ("corrected", "retracted"):
    REVISIONS.labels(_status)
BEHIND_S = Gauge(
    "tapewire_archive_behind_seconds",
    "Age of the oldest record that is not in SQL yet; 0 when all are",
    ["topic"],
)
RETENTION_S = Gauge(
    "tapewire_retention_seconds", "How long the broker keeps a topic's records", ["topic"]
)
WITHOUT_SYMBOL = Counter("tapewire_articles_without_symbol", "Articles that name no symbol")
UNSCORED = Counter("tapewire_articles_unscored", "Articles that no model may score", ["reason"])
MODEL_FAILURES = Counter(
    "tapewire_sentiment_failures", "Texts that a sentiment model failed on", ["model"]
)
MODEL_MISSING = Gauge(
    "tapewire_sentiment_model_missing", "1: chosen, but another model scores instead", ["model"]
)
SCORE_CACHE = Counter(
    "tapewire_score_cache",
    "Texts by what the cache did: skipped are those it was not asked for, or answered wrongly",
    ["result"],
)
for _result in ("hit", "miss", "skipped"):
    SCORE_CACHE.labels(_result)
NEWS_SHARE = Gauge(
    "tapewire_news_share",
    "Share of the latest articles (no_body, no_symbol, one_headline, unscored) or scores (neutral, "
    "zero, one_score) that are so; NaN while there are too few",
    ["kind"],
)
SENTIMENT_DRIFT = Gauge(
    "tapewire_sentiment_drift",
    "Distance of a model's latest classes from those it gave in training, 0 to 1",
    ["model"],
)
EXPLAINED_S = Histogram(
    "tapewire_explained_seconds", "From a signal in the log to its explanation", buckets=_SECONDS
)
JOB_EXIT_CODE = Gauge("tapewire_job_exit_code", "Of a scheduled job's last run", ["job"])
MODEL_AGE_S = Gauge(
    "tapewire_model_age_seconds", "Event time since the champion's last training row"
)


def serve(port: int) -> None:
    """Serve /metrics on 127.0.0.1:`port`."""
    start_http_server(port, addr="127.0.0.1")
