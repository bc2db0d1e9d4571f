"""A daily market as stored events: bars, a beat after each close, an article before each open."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np

from stream.events import Bar, ClockTick, SentimentScored, moment
from stream.scoring.policy import Policy
from tests.factories import policy
from training.stored import Stored

HOUR = 3_600_000_000
DAY = 24 * HOUR
MONDAY = 19_723 * DAY  # 2024-01-01
INVERTED = "blog"  # the source whose good news are bad


def daily_policy() -> Policy:
    return policy(feature_set="daily", tape="bars", staleness_s=5 * 86_400.0)


def make_days(
    n_days: int, n_symbols: int = 12, effect: float = 1.0, seed: int = 0
) -> Iterator[tuple[int, msgspec.Struct]]:
    """(time in us, event) in order; a score moves its symbol's day by so many of its sigmas."""
    draw = np.random.default_rng(seed)
    symbols = [f"S{i:02}" for i in range(n_symbols)]
    price = dict.fromkeys(symbols, 100.0)
    for day in range(n_days):
        start = MONDAY + (day // 5 * 7 + day % 5) * DAY
        scores = draw.uniform(-0.9, 0.9, n_symbols)
        sources = draw.choice(["wire", INVERTED], n_symbols)
        for symbol, score, source in zip(symbols, scores, sources, strict=True):
            yield start + 12 * HOUR, make_article(symbol, start + 12 * HOUR, score, source)
        truth = np.where(sources == INVERTED, -scores, scores)
        moves = 0.01 * (draw.normal() + effect * truth + draw.normal(size=n_symbols))
        for symbol, move in zip(symbols, moves, strict=True):
            opened = price[symbol]
            price[symbol] = closed = opened * float(np.exp(move))
            yield start + 21 * HOUR, Bar(
                symbol=symbol, start=moment(start + 14 * HOUR), end=moment(start + 21 * HOUR),
                open=opened, high=1.002 * max(opened, closed), low=0.998 * min(opened, closed),
                close=closed, volume=float(draw.integers(1_000, 9_000)),
            )  # fmt: skip
        yield start + 23 * HOUR, ClockTick(kind="beat", at=moment(start + 23 * HOUR))


def make_article(symbol: str, at: int, score: float, source: str) -> SentimentScored:
    positive = round(0.5 + score / 2, 3)
    return SentimentScored(
        article_id=f"{symbol}-{at}", revision=1, status="published", symbol=symbol, source=source,
        published_at=moment(at), available_at=moment(at), scored_at=moment(at),
        negative=round(1.0 - positive, 3), neutral=0.0, positive=positive, relevance=1.0,
        model="lexicon-1", text_hash=f"text of {at}", n_chars=100,
    )  # fmt: skip


def stored(events: Iterator[tuple[int, msgspec.Struct]]) -> list[Stored]:
    """One partition of them."""
    return [Stored(event, offset, at) for offset, (at, event) in enumerate(events)]
