"""Articles and records with visible defaults, and an outbox that keeps what a step sends."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, NamedTuple

from models.sentiment.lexicon import Lexicon
from models.sentiment.model import SentimentModel
from stream.engine.step import Outcome
from stream.events import NewsArticle, SentimentScored, decode, encode, micros, moment
from stream.sentiment.judge import Judge
from stream.sentiment.opinions import Opinions
from stream.sentiment.step import SentimentStep

T0 = 1_709_650_800_000_000  # 2024-03-05 15:00 UTC
SECOND = 1_000_000
DAY = 86_400 * SECOND
LEXICON = Lexicon()


class Rec(NamedTuple):
    """A Kafka record; `timestamp` in milliseconds."""

    value: bytes | None
    key: bytes | None
    timestamp: int = T0 // 1000
    offset: int = 0
    partition: int = 0


class Sent(NamedTuple):
    topic: str
    key: bytes
    event: SentimentScored
    timestamp_ms: int | None


class Kept:
    """An Outbox."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []

    def send(
        self,
        topic: str,
        key: bytes,
        value: bytes,
        *,
        partition: int | None = None,
        timestamp_ms: int | None = None,
    ) -> None:
        assert partition is None
        self.sent.append(Sent(topic, key, decode(SentimentScored, value), timestamp_ms))


def article(ident: str = "a", headline: str = "Apple beats estimates", **more: Any) -> NewsArticle:
    given = {
        "source": "wire",
        "published_at": moment(T0 - SECOND),
        "received_at": moment(T0),
        "symbols": ("AAPL",),
    }
    return NewsArticle(id=ident, headline=headline, **{**given, **more})


def record(event: NewsArticle, offset: int = 0, at: int | None = None) -> Rec:
    """Its record; the Kafka timestamp is `at` microseconds, else received_at, else T0."""
    if at is None:
        at = T0 if event.received_at is None else micros(event.received_at)
    return Rec(encode(event), event.id.encode(), at // 1000, offset)


def live(
    model: SentimentModel = LEXICON,
    *,
    clock_us: int = T0 + SECOND,
    judge: Judge | None = None,
    refuse_unscorable: bool = False,
    **more: Any,
) -> SentimentStep:
    return SentimentStep(
        Opinions(judge or Judge(model), **more),
        clock=lambda: clock_us,
        scoring_delay_us=SECOND,
        max_ahead_us=60 * SECOND,
        keep_us=7 * DAY,
        refuse_unscorable=refuse_unscorable,
    )


def replay(model: SentimentModel = LEXICON) -> SentimentStep:
    return SentimentStep(
        Opinions(Judge(model)),
        clock=None,
        scoring_delay_us=SECOND,
        max_ahead_us=60 * SECOND,
        keep_us=7 * DAY,
    )


def feed(step: SentimentStep, *records: Rec) -> tuple[list[Outcome], list[Sent]]:
    """Prepare and apply the records as one chunk."""
    out = Kept()
    asyncio.run(step.prepare("news", records))
    return [step.apply("news", each, out) for each in records], out.sent


def scores(step: SentimentStep, *events: NewsArticle, first: int = 0) -> list[SentimentScored]:
    """What the articles give as one chunk, with offsets from `first`."""
    records = [record(event, offset) for offset, event in enumerate(events, first)]
    return [sent.event for sent in feed(step, *records)[1]]


class Brittle:
    """A model that fails on any batch with the word `poison` in it."""

    name = "brittle"
    version = "7"

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    def probabilities(self, texts: Sequence[str]) -> list[Any]:
        self.batches.append(list(texts))
        if any("poison" in text for text in texts):
            raise RuntimeError("no such token")
        return LEXICON.probabilities(texts)
