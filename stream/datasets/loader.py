"""Publishes a dataset in order of availability, no faster than the roles follow.

    slice k     news ──► wait for `sentiment` ──► tape ──┐
    slice k+1                                            └─ at most one slice unread at a time

Every record's Kafka timestamp is its availability, so `score` merges its inputs as they were.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial

import confluent_kafka
import msgspec

from stream.datasets.dataset import Dataset, Timed
from stream.datasets.follow import Follower, Place
from stream.datasets.slices import Slice, slices, with_clock
from stream.engine.topics import partition_of
from stream.errors import Unavailable
from stream.events import MARKET_KEY, encode
from stream.settings import Settings

ROLES = ("sentiment", "score", "archive")
_DAY_US = 86_400_000_000
# The embedded broker keeps 5 MiB a partition: a slice must stay well under that on every topic,
# and a signal is about 4 kB.
_EMBEDDED = {"most_records": 12_000, "most_signals": 1_000, "most_us": 30 * _DAY_US}
_REAL = {"most_records": 60_000, "most_signals": 8_000, "most_us": 30 * _DAY_US}
_UNREAD_OUTPUTS = {True: 350, False: 20_000}  # records a partition, by `embedded`
_PACED_US = 250_000  # of past time a slice, at speed 1
_FLUSH_S = 30.0
_CLOCK_KEY = MARKET_KEY.encode()


class LoadSummary(msgspec.Struct, frozen=True):
    """Records that went in by topic (a clock tick is one a partition), and the time covered."""

    events_in: dict[str, int]
    first_us: int
    last_us: int


async def load(
    settings: Settings,
    dataset: Dataset,
    *,
    speed: float | None = None,
    from_us: int | None = None,
    until_us: int | None = None,
    wait_for: tuple[str, ...] = ROLES,
    progress: Callable[[int, int], None] = lambda at_us, n: None,
    published: Callable[[int], None] = lambda at_us: None,
) -> LoadSummary:
    """Publish the records with from_us <= availability < until_us.

    Parameters
    ----------
    speed : past seconds a second; None is as fast as the roles follow.
    wait_for : roles whose reading bounds the pace; empty to fill topics with nobody reading.
    progress : called with (time reached in us, events so far).
    published : called with the time the tape has just been published through, in us.
    """
    limits = _EMBEDDED if settings.embedded else _REAL
    if speed is not None:
        limits = {**limits, "most_us": max(1_000_000, int(_PACED_US * speed))}
    publisher = _Publisher(settings)
    follower = Follower(settings)
    counts: dict[str, int] = {}
    began: tuple[float, int] | None = None
    first_us = last_us = dataset.span[0] if from_us is None else from_us
    try:
        if from_us is None:
            for instrument in dataset.instruments:
                key = instrument.symbol.encode()
                publisher.send(Timed("instruments", dataset.span[0], key, encode(instrument)))
            counts["instruments"] = len(dataset.instruments)
        before: dict[Place, int] = {}
        for cut in slices(with_clock(dataset, from_us, until_us), **limits):
            last_us = max(t.at for t in [*cut.news[-1:], *cut.tape[-1:]])
            if speed is not None:
                now = time.monotonic()
                began = began or (now, last_us)
                await asyncio.sleep(max(0.0, began[0] + (last_us - began[1]) / 1e6 / speed - now))
            await _news_first(publisher, follower, cut, wait_for)
            await _bounded(settings, follower, before, wait_for)
            for timed in cut.tape:
                publisher.send(timed)
            published(last_us)
            await publisher.flush()
            before = publisher.ends(dataset.tape)
            for timed in (*cut.news, *cut.tape):
                clock = timed.key == _CLOCK_KEY
                name, n = ("clock", settings.partitions) if clock else (timed.topic, 1)
                counts[name] = counts.get(name, 0) + n
            progress(last_us, sum(counts.values()))
        await publisher.flush()
    finally:
        publisher.close()
        follower.close()
    return LoadSummary(counts, first_us, last_us)


async def wait_drained(settings: Settings) -> None:
    """Return when every role has read what went in, and the archive what came of it."""
    follower = Follower(settings)
    try:
        await follower.wait_for_outputs("sentiment", ("news",))
        await follower.wait_for_outputs("score", (settings.tape,))
        read = ("news", settings.tape, "instruments", "sentiment", "panes", "signals")
        await follower.wait_for_outputs("archive", (*read, "late-events", "dead-letters"))
    finally:
        follower.close()


async def _news_first(
    publisher: _Publisher, follower: Follower, cut: Slice, wait_for: tuple[str, ...]
) -> None:
    """An article's score must be on its topic before the tape passes its time."""
    if not cut.news:
        return
    for timed in cut.news:
        publisher.send(timed)
    await publisher.flush()
    if "sentiment" in wait_for:
        await follower.wait_for("sentiment", publisher.ends("news"))


async def _bounded(
    settings: Settings, follower: Follower, before: dict[Place, int], wait_for: tuple[str, ...]
) -> None:
    """Wait until the slice before has been read, and not too much that came of it is unread."""
    for role in ("score", "archive"):
        if role in wait_for:
            await follower.wait_for(role, before)
    if "archive" in wait_for:
        most = _UNREAD_OUTPUTS[settings.embedded]
        await follower.wait_for_outputs("archive", ("signals",), most)


class _Publisher:
    """An idempotent producer that knows the next offset of every partition it wrote."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._ends: dict[Place, int] = {}
        self._failed: list[str] = []
        self._producer = confluent_kafka.Producer(
            {
                "bootstrap.servers": settings.broker,
                "partitioner": "murmur2_random",
                "linger.ms": 5,
                "batch.size": 1 << 18,
                "queue.buffering.max.messages": 1_000_000,
                "enable.idempotence": not settings.embedded,
                "log_level": 0,
            }
        )

    def send(self, timed: Timed) -> None:
        """Queue a record; a clock tick goes to every partition."""
        n = self._settings.partitions
        everywhere = range(n) if timed.key == _CLOCK_KEY else (partition_of(timed.key, n),)
        for partition in everywhere:
            while True:
                try:
                    self._producer.produce(
                        self._settings.topic(timed.topic),
                        timed.value,
                        timed.key,
                        partition=partition,
                        timestamp=timed.at // 1000,
                        on_delivery=partial(self._delivered, timed.topic),
                    )
                    break
                except BufferError:
                    self._producer.poll(0.1)

    async def flush(self) -> None:
        """Return when the broker has everything. Raises Unavailable where it does not take it."""
        left = await asyncio.to_thread(self._producer.flush, _FLUSH_S)
        if left or self._failed:
            why = self._failed[0] if self._failed else f"{left} records not taken in {_FLUSH_S:g} s"
            raise Unavailable(f"TAPEWIRE_BROKER={self._settings.broker}: {why}")

    def ends(self, topic: str) -> dict[Place, int]:
        """The next offset of each partition of `topic` written so far."""
        return {place: end for place, end in self._ends.items() if place[0] == topic}

    def close(self) -> None:
        """Drop what was not sent."""
        self._producer.purge()

    def _delivered(
        self,
        topic: str,
        error: confluent_kafka.KafkaError | None,
        message: confluent_kafka.Message,
    ) -> None:
        if error is not None:
            self._failed.append(error.str())
            return
        self._ends[topic, message.partition()] = message.offset() + 1
