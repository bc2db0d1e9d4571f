"""A dataset as the archive would hold it, without servers: every role's pure step in memory."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from models.sentiment.model import load_sentiment_model
from stream.datasets.dataset import Dataset
from stream.datasets.slices import with_clock
from stream.engine.topics import partition_of
from stream.events import MARKET_KEY, Bar, ClockTick, SentimentScored, Tick, decode
from stream.sentiment.judge import Judge
from stream.sentiment.opinions import Opinions
from stream.sentiment.step import SentimentStep
from training.stored import Stored

_CLOCK_KEY = MARKET_KEY.encode()


@dataclass
class Record:
    """A record as Kafka would hand it out."""

    partition: int
    offset: int
    timestamp: int
    key: bytes
    value: bytes


class Outputs(list[tuple[str, bytes, bytes, int]]):
    """Collects what a step sends."""

    def send(
        self,
        topic: str,
        key: bytes,
        value: bytes,
        *,
        partition: int | None = None,
        timestamp_ms: int | None = None,
    ) -> None:
        self.append((topic, key, value, timestamp_ms or 0))


def stored_history(dataset: Dataset, n_partitions: int = 1) -> list[tuple[int, Iterable[Stored]]]:
    """Tape and sentiment of each partition, merged by availability, sentiment first on a tie."""
    kind: Any = Tick if dataset.tape == "ticks" else Bar
    tape: list[list[Stored]] = [[] for _ in range(n_partitions)]
    news: list[Record] = []
    for timed in with_clock(dataset, None, None):
        ms = timed.at // 1000
        if timed.topic == "news":
            news.append(Record(0, len(news), ms, timed.key, timed.value))
        elif timed.key == _CLOCK_KEY:
            clock = decode(ClockTick, timed.value)
            for one in tape:
                one.append(Stored(clock, len(one), ms * 1000))
        else:
            one = tape[partition_of(timed.key, n_partitions)]
            one.append(Stored(decode(kind, timed.value), len(one), ms * 1000))
    scored = _scored(news, n_partitions)
    return [
        (p, heapq.merge(scored[p], tape[p], key=lambda stored: stored.at_us))
        for p in range(n_partitions)
    ]


def _scored(news: list[Record], n_partitions: int) -> list[list[Stored]]:
    step = SentimentStep(
        Opinions(Judge(load_sentiment_model("lexicon"))),
        clock=None,
        scoring_delay_us=1_000_000,
        max_ahead_us=60_000_000,
        keep_us=30 * 86_400_000_000,
    )
    out = Outputs()
    asyncio.run(step.prepare("news", news))
    for record in news:
        step.apply("news", record, out)
    found: list[list[Stored]] = [[] for _ in range(n_partitions)]
    for _, key, value, at_ms in out:
        one = found[partition_of(key, n_partitions)]
        one.append(Stored(decode(SentimentScored, value), len(one), at_ms * 1000))
    for one in found:
        one.sort(key=lambda stored: stored.at_us)
    return found
