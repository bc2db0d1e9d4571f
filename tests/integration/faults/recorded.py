"""A seeded stream of what a market and its wires send, mistakes included."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from stream.events import MARKET_KEY, ClockTick, NewsArticle, Tick, encode

SYMBOLS = tuple(f"S{i:02}" for i in range(40))
_TEXTS = ("profit surges past all hopes", "shares slump on fraud probe", "annual meeting on Monday")


class Sent(NamedTuple):
    """One record to publish; without a partition it goes to its key's."""

    topic: str
    key: bytes
    value: bytes
    partition: int | None
    at: datetime  # event time: of a replay also the Kafka timestamp


def recorded(
    seed: int, *, start: datetime, span: timedelta, n_ticks: int, n_partitions: int
) -> list[Sent]:
    """Ticks with the clock's beats, articles in up to three revisions, late and broken records."""
    rng = random.Random(seed)
    return sorted(
        [
            *_tape(rng, start, span, n_ticks),
            *_news(rng, start, span, n_ticks // 150),
            *_beats(start, span, n_partitions),
        ],
        key=lambda sent: sent.at,
    )


def _tape(rng: random.Random, start: datetime, span: timedelta, n: int) -> Iterator[Sent]:
    price = dict.fromkeys(SYMBOLS, 100.0)
    for i in range(n):
        at = start + span * (i / n)
        symbol = rng.choice(SYMBOLS)
        price[symbol] = round(price[symbol] * (1 + rng.gauss(0, 1e-3)), 2)
        ts = at - timedelta(minutes=10) if rng.random() < 0.002 else at
        tick = Tick(symbol=symbol, ts=ts, price=price[symbol], size=rng.randint(1, 500))
        value = encode(tick)
        if rng.random() < 0.002:
            value = rng.choice((b"", b"\xff{", value[:-9], value.replace(b"price", b"prize")))
        yield Sent("ticks", symbol.encode(), value, None, at)


def _news(rng: random.Random, start: datetime, span: timedelta, n: int) -> Iterator[Sent]:
    for i in range(n):
        at = start + span * rng.random()
        symbols = tuple(rng.sample(SYMBOLS, rng.randint(1, 2)))
        fates = rng.choice((["published"], ["published", "corrected"],
                            ["published", "corrected", "retracted"]))  # fmt: skip
        for revision, status in enumerate(fates, 1):
            article = NewsArticle(
                id=f"n{i}",
                revision=revision,
                status=status,  # type: ignore[arg-type]
                source=rng.choice(("wire", "blog")),
                published_at=at,
                received_at=at,
                headline=f"{rng.choice(_TEXTS)} {i}",
                symbols=symbols,
            )
            yield Sent("news", article.id.encode(), encode(article), None, at)
            at += span * 0.05
        if rng.random() < 0.05:
            yield Sent("news", b"broken", b"{" * rng.randint(1, 50), None, at)


def _beats(start: datetime, span: timedelta, n_partitions: int) -> Iterator[Sent]:
    every = timedelta(seconds=10)
    for i in range(int(span / every) + 8):  # the last ones close the last panes
        beat = encode(ClockTick(kind="beat", at=start + i * every))
        for partition in range(n_partitions):
            yield Sent("ticks", MARKET_KEY.encode(), beat, partition, start + i * every)
