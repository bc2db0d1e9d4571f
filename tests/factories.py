"""Events and policies with visible defaults: a test names only what it is about."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from stream.events import (
    Bar,
    ClockTick,
    CorporateAction,
    Instrument,
    NewsArticle,
    SentimentScored,
    Tick,
)
from stream.features.vector import FEATURE_SETS
from stream.scoring.policy import Policy

NOON = datetime(2024, 3, 5, 17, 0, tzinfo=UTC)  # a Tuesday, 12:00 in New York
TODAY = NOON.date()


def at(seconds: float = 0.0) -> datetime:
    """`seconds` after NOON."""
    return NOON + timedelta(seconds=seconds)


def tick(symbol: str = "AAPL", seconds: float = 0.0, price: float = 100.0, **changes: Any) -> Tick:
    """A trade of 100 shares."""
    return Tick(**{"symbol": symbol, "ts": at(seconds), "price": price, "size": 100.0} | changes)


def bar(symbol: str = "AAPL", seconds: float = 0.0, close: float = 101.0, **changes: Any) -> Bar:
    """A minute's bar that starts at 100 and ends `seconds` after NOON."""
    given = {
        "symbol": symbol,
        "start": at(seconds - 60),
        "end": at(seconds),
        "open": 100.0,
        "high": max(100.0, close) + 1,
        "low": min(100.0, close) - 1,
        "close": close,
        "volume": 10_000.0,
    }
    return Bar(**given | changes)


def article(id: str = "wire-1", seconds: float = 0.0, **changes: Any) -> NewsArticle:
    """Good news on AAPL, received a second after its publication."""
    given = {
        "id": id,
        "source": "wire",
        "published_at": at(seconds - 1),
        "received_at": at(seconds),
        "headline": "Apple beats estimates as profit surges to a record",
        "symbols": ("AAPL",),
    }
    return NewsArticle(**given | changes)


def sentiment(symbol: str = "AAPL", seconds: float = 0.0, **changes: Any) -> SentimentScored:
    """The score of a positive article, available `seconds` after NOON."""
    given = {
        "article_id": "wire-1",
        "revision": 1,
        "status": "published",
        "symbol": symbol,
        "source": "wire",
        "published_at": at(seconds - 2),
        "available_at": at(seconds),
        "scored_at": at(seconds),
        "negative": 0.1,
        "neutral": 0.2,
        "positive": 0.7,
        "relevance": 1.0,
        "model": "lexicon-1",
        "text_hash": "0" * 16,
        "headline": "Apple beats estimates as profit surges to a record",
        "n_chars": 50,
    }
    return SentimentScored(**given | changes)


def beat(seconds: float = 0.0) -> ClockTick:
    """Time passes."""
    return ClockTick(kind="beat", at=at(seconds))


def split(symbol: str = "AAPL", ratio: float = 2.0, ex_date: date = TODAY) -> CorporateAction:
    """`ratio` new shares for an old one, announced a day before NOON."""
    return CorporateAction(
        symbol=symbol, kind="split", ex_date=ex_date, value=ratio, announced_at=at(-86_400)
    )


def instrument(symbol: str = "AAPL", **changes: Any) -> Instrument:
    """A share listed in New York."""
    return Instrument(
        **{"symbol": symbol, "company": "Apple Inc.", "aliases": ("Apple",)} | changes
    )


def policy(**changes: Any) -> Policy:
    """What a live namespace with the intraday feature set obeys by default."""
    feature_set = changes.get("feature_set", "intraday")
    given: dict[str, Any] = {
        "feature_set": feature_set,
        "feature_set_version": FEATURE_SETS[feature_set].version,
        "tape": "ticks",
        "calendar": "XNYS",
        "lateness_us": 2_000_000,
        "max_ahead_us": 60_000_000,
        "feed_delay_s": 60.0,
        "scoring_delay_s": 1.0,
        "staleness_s": 300.0,
        "confidence": 0.65,
        "model_max_age_s": None,
        "score_every_tick": False,
        "require_instruments": False,
        "rules_may_act": False,
        "news_waits_for_time": False,
    }
    return Policy(**given | changes)
