"""What a history holds besides the events that a replay reads, counted and named."""

from __future__ import annotations

from typing import LiteralString

from stream.sentiment.judge import NO_MODEL
from training.history import History
from training.quality import NewsFacts
from training.stored import SENTIMENT


def main_sentiment_model(history: History, newest: int | None = None) -> str | None:
    """The model that made most of the stored scores, or of so many of the newest.

    None where no model made one.
    """
    where, given = history.log.where(SENTIMENT)
    query = (
        f"SELECT model FROM (SELECT model FROM sentiments WHERE {where} "
        "AND model <> %s AND model NOT LIKE %s ORDER BY available_at DESC LIMIT %s) AS newest "
        "GROUP BY model ORDER BY count(*) DESC, model LIMIT 1"
    )
    values = [*given, NO_MODEL, f"{NO_MODEL}:%", newest]
    found = history.connection.execute(query.encode(), values).fetchone()
    return None if found is None else str(found[0])


def news_facts(history: History, sentiment_model: str | None) -> NewsFacts:
    """Stored articles, and what the model says of them."""
    news = history.connection.execute(
        "SELECT count(*), count(*) FILTER (WHERE btrim(headline) = '' AND btrim(body) = '') "
        "FROM news WHERE status <> 'retracted'"
    ).fetchone()
    scores = history.connection.execute(
        "SELECT count(*), count(*) FILTER (WHERE positive = negative), "
        "count(*) FILTER (WHERE neutral >= greatest(positive, negative)) "
        "FROM sentiments WHERE status <> 'retracted' AND model = %s",
        [sentiment_model],
    ).fetchone()
    assert news is not None
    assert scores is not None
    return NewsFacts(
        articles=news[0], textless=news[1],
        scored=scores[0], zero=scores[1], neutral=scores[2],
    )  # fmt: skip


def sectors_of(history: History) -> dict[str, str]:
    """The newest sector of each symbol that has one."""
    query = "SELECT symbol, sector FROM latest_instruments WHERE sector <> ''"
    return dict(history.connection.execute(query).fetchall())


def count_panes(history: History) -> int:
    """How many panes or bars are stored."""
    return _count(history, "SELECT count(*) FROM bars")


def count_models(history: History) -> int:
    """How many models were ever stored."""
    return _count(history, "SELECT count(*) FROM ml_models")


def _count(history: History, query: LiteralString) -> int:
    row = history.connection.execute(query).fetchone()
    assert row is not None
    return int(row[0])
