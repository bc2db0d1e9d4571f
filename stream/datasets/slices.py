"""A dataset cut into slices of past time, with the clock ticks of that past. Pure.

Beats stand on a grid (60 s intraday, an hour daily) after every interval in which something
happened, and once more after it, so that its panes close; a night without events has none. One
stands before what ends the night, so that no partition is further behind than the grid is wide:
a record waits for what the market says of a little before it, and all must be able to say.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from stream.clock.calendar import ticks_between, ticks_in_force
from stream.datasets.dataset import Dataset, Timed
from stream.engine.topics import partition_of
from stream.events import MARKET_KEY, ClockTick, encode, micros, moment

_MINUTE = 60_000_000
BEAT_US = {"intraday": _MINUTE, "daily": 60 * _MINUTE}
_CLOSING_US = 2 * _MINUTE  # the last beat: past any pane's end and lateness
_CLOCK_KEY = MARKET_KEY.encode()


@dataclass(frozen=True)
class Limits:
    """Where a slice ends: records, signals that may come of them in one partition, past time."""

    most_records: int
    most_signals: int
    most_us: int


@dataclass
class Slice:
    """Consecutive records: `news` first, then `tape`, both in order of availability."""

    news: list[Timed] = field(default_factory=list)
    tape: list[Timed] = field(default_factory=list)
    last_us: int = 0


def with_clock(dataset: Dataset, from_us: int | None, until_us: int | None) -> Iterator[Timed]:
    """Records with from_us <= at < until_us, and clock ticks (key `*`) in between.

    First come the ticks of each calendar's two newest sessions, as known at the start, and where
    nothing was cut off the close that is less than an hour away.
    """
    first, last = dataset.span
    start = first if from_us is None else from_us
    end = last + 1 if until_us is None else min(until_us, last + 1)
    after = itertools.dropwhile(lambda timed: timed.at < start, dataset.events())
    chosen = itertools.takewhile(lambda timed: timed.at < end, after)
    told_through = end - 1 if end <= last else last + 60 * _MINUTE
    sessions = [_clock(dataset.tape, tick) for tick in _sessions(dataset, start, told_through)]
    beat_us = BEAT_US[dataset.feature_set]
    reached = beaten = start
    due: list[int] = []  # the beats after the interval at hand: at most two
    for timed in heapq.merge(sessions, chosen, key=lambda timed: timed.at):
        while due and due[0] <= timed.at:
            beaten = due.pop(0)
            yield _beat(dataset.tape, beaten)
        if timed.at >= start:
            following = timed.at - timed.at % beat_us + beat_us
            if following - beat_us > beaten:
                beaten = following - beat_us
                yield _beat(dataset.tape, beaten)
            due = sorted({*due, following, following + beat_us})
        yield timed
        reached = timed.at
    closing = end if end <= last else max(end, reached) + beat_us + _CLOSING_US
    yield _beat(dataset.tape, closing)


def slices(
    records: Iterator[Timed], n_partitions: int, limits: Limits, *, every_tick: bool = False
) -> Iterator[Slice]:
    """Cut `records` where a slice reaches one of the limits.

    Parameters
    ----------
    every_tick : each trade gives a signal, not only each minute in which a symbol traded.
    """
    cut = Slice()
    began: int | None = None
    signals = [0] * n_partitions
    panes: set[tuple[bytes, int]] = set()
    for timed in records:
        n = len(cut.news) + len(cut.tape)
        long = began is not None and timed.at - began >= limits.most_us
        if n and (long or n >= limits.most_records or max(signals) >= limits.most_signals):
            yield cut
            cut, began = Slice(), None
            signals = [0] * n_partitions
            panes.clear()
        if began is None:
            began = timed.at
        cut.last_us = timed.at
        if timed.topic == "news":
            cut.news.append(timed)
            for partition in _homes(timed.value, n_partitions):
                signals[partition] += 1
            continue
        cut.tape.append(timed)
        pane = (timed.key, timed.at // _MINUTE)
        if timed.key != _CLOCK_KEY and (every_tick or pane not in panes):
            panes.add(pane)
            signals[partition_of(timed.key, n_partitions)] += 1
    if cut.news or cut.tape:
        yield cut


class _About(msgspec.Struct):
    symbols: tuple[str, ...] = ()


_read_about = msgspec.json.Decoder(_About).decode


def _homes(article: bytes, n_partitions: int) -> Sequence[int]:
    """Partitions of the article's symbols; all, where only its text can say."""
    try:
        symbols = _read_about(article).symbols
    except msgspec.DecodeError:
        return ()
    return [partition_of(s.encode(), n_partitions) for s in symbols] or range(n_partitions)


def _sessions(dataset: Dataset, start_us: int, through_us: int) -> list[ClockTick]:
    ticks = [tick for one in dataset.calendars for tick in ticks_in_force(one, start_us)]
    for calendar in dataset.calendars:
        ticks += ticks_between(calendar, start_us, through_us)
    return sorted(ticks, key=lambda tick: tick.at)


def _clock(tape: str, tick: ClockTick) -> Timed:
    return Timed(tape, micros(tick.at), _CLOCK_KEY, encode(tick))


def _beat(tape: str, at: int) -> Timed:
    return _clock(tape, ClockTick(kind="beat", at=moment(at)))
