"""Publishes a dataset in order of availability, no faster than the roles follow.

    slice k     news ──► scores in their topic ──► tape ──► read by the roles
    slice k+1            news ──► ...                       a few slices are on their way

Every record's Kafka timestamp is its availability. The score role holds a score until event time
reaches it; what must not happen is that the tape runs ahead of a score still to come.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import replace

import msgspec

from stream.datasets.dataset import Dataset, Timed
from stream.datasets.follow import Follower, Place
from stream.datasets.publisher import Publisher
from stream.datasets.slices import Limits, Slice, slices, with_clock
from stream.errors import Refused
from stream.events import MARKET_KEY, encode
from stream.settings import Settings

ROLES = ("sentiment", "score", "archive")
_DAY_US = 86_400_000_000
# The embedded broker keeps 5 MiB a partition and a signal is about 4 kB: three slices unread and
# the archive's backlog are 2 MiB of signals in one partition.
_EMBEDDED = Limits(most_records=4_000, most_signals=120, most_us=30 * _DAY_US)
_REAL = Limits(most_records=25_000, most_signals=3_000, most_us=30 * _DAY_US)
_UNREAD_SIGNALS = {True: 150, False: 20_000}  # of a partition, by `embedded`
_ON_THEIR_WAY = 3  # slices of tape
_PACED_US = 250_000  # of past time a slice, at speed 1
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
    stop: asyncio.Event | None = None,
) -> LoadSummary:
    """Publish the records with from_us <= availability < until_us. The topics must be there.

    Parameters
    ----------
    speed : past seconds a second; None is as fast as the roles follow.
    wait_for : roles whose reading bounds the pace; empty to fill topics with nobody reading.
    progress : called with (time reached in us, events so far).
    published : called, from another thread, with the time the tape has just been sent through.
    stop : when set, the load ends after the slice at hand.

    Raises
    ------
    Refused
        The namespace is live, has another tape, or another count of partitions.
    Unavailable
        The broker is away, or a role of `wait_for` makes no progress.
    """
    _check(settings, dataset)
    counts: Counter[str] = Counter()
    first_us = last_us = dataset.span[0] if from_us is None else from_us
    publisher, follower = Publisher(settings), Follower(settings)
    pace = _Pace(settings, follower, wait_for)
    cuts = _cuts(settings, dataset, speed, from_us, until_us)
    try:
        for topic in ("news", "instruments", dataset.tape):
            await asyncio.to_thread(publisher.check, topic)
        if from_us is None:
            await asyncio.to_thread(publisher.send, list(_instruments(dataset)))
            counts["instruments"] = len(dataset.instruments)
        began = time.monotonic()
        cut = await asyncio.to_thread(_next_news, cuts, publisher)
        while cut is not None and not (stop is not None and stop.is_set()):
            scored = publisher.ends("news") if cut.news else {}
            following = await asyncio.to_thread(_next_news, cuts, publisher)
            if speed is not None:
                due = began + (cut.last_us - first_us) / 1e6 / speed
                await asyncio.sleep(max(0.0, due - time.monotonic()))
            await pace.room(scored)
            await asyncio.to_thread(publisher.send, cut.tape, published)
            pace.sent(publisher.ends(dataset.tape))
            for timed in (*cut.news, *cut.tape):
                clock = timed.key == _CLOCK_KEY
                counts["clock" if clock else timed.topic] += settings.partitions if clock else 1
            last_us = cut.last_us
            progress(last_us, counts.total())
            cut = following
    finally:
        publisher.close()
        follower.close()
    return LoadSummary(dict(counts), first_us, last_us)


async def wait_drained(settings: Settings) -> None:
    """Return when every role has read what went in, and the archive what came of it."""
    follower = Follower(settings)
    try:
        await follower.wait_for_outputs("sentiment", ("news",))
        await follower.wait_for_outputs("score", (settings.tape, "sentiment"))
        await follower.wait_for_outputs("market", ("pane-ends",))
        await follower.wait_for_outputs("score", ("market",))
        await follower.wait_for_outputs("explain", ("signals",))
        read = ("news", settings.tape, "instruments", "sentiment", "panes", "pane-ends", "market")
        made = ("signal-explanations", "shadow-signals", "late-events", "dead-letters")
        await follower.wait_for_outputs("archive", (*read, "signals", *made))
    finally:
        follower.close()


class _Pace:
    """When the next slice of tape may go."""

    def __init__(self, settings: Settings, follower: Follower, wait_for: tuple[str, ...]) -> None:
        self._follower = follower
        self._wait_for = wait_for
        self._most_unread = _UNREAD_SIGNALS[settings.embedded]
        self._sent: deque[dict[Place, int]] = deque()

    async def room(self, scored: dict[Place, int]) -> None:
        """Wait for the scores of the news through `scored`, and for the roles to keep up."""
        if "sentiment" in self._wait_for:
            await self._follower.wait_for("sentiment", scored)
        if len(self._sent) < _ON_THEIR_WAY:
            return
        through = self._sent.popleft()
        for role in ("score", "archive"):
            if role in self._wait_for:
                await self._follower.wait_for(role, through)
        if "archive" in self._wait_for:
            await self._follower.wait_for_outputs("archive", ("signals",), self._most_unread)

    def sent(self, ends: dict[Place, int]) -> None:
        """One more slice is on its way; `ends` are the offsets behind it."""
        self._sent.append(ends)


def _check(settings: Settings, dataset: Dataset) -> None:
    if settings.mode != "replay":
        raise Refused(
            f"TAPEWIRE_MODE={settings.mode}: expected replay: past and present share no namespace"
        )
    if settings.tape != dataset.tape:
        raise Refused(f"TAPEWIRE_TAPE={settings.tape}: the dataset's tape is {dataset.tape}")


def _cuts(
    settings: Settings,
    dataset: Dataset,
    speed: float | None,
    from_us: int | None,
    until_us: int | None,
) -> Iterator[Slice]:
    limits = _EMBEDDED if settings.embedded else _REAL
    if speed is not None:
        limits = replace(limits, most_us=max(1_000_000, int(_PACED_US * speed)))
    return slices(
        with_clock(dataset, from_us, until_us),
        settings.partitions,
        limits,
        every_tick=settings.score_every_tick,
    )


def _next_news(cuts: Iterator[Slice], publisher: Publisher) -> Slice | None:
    """The next slice, its news sent."""
    cut = next(cuts, None)
    if cut is not None and cut.news:
        publisher.send(cut.news)
    return cut


def _instruments(dataset: Dataset) -> Iterator[Timed]:
    for instrument in dataset.instruments:
        key = instrument.symbol.encode()
        yield Timed("instruments", dataset.span[0], key, encode(instrument))
