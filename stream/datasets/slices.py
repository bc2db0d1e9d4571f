"""A dataset cut into slices of past time, with the clock ticks of that past. Pure.

Beats stand on a grid (60 s intraday, an hour daily) after every interval in which something
happened, and once more after it, so that its panes close; a night without events has none.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field

from stream.clock.calendar import ticks_between
from stream.datasets.dataset import Dataset, Timed
from stream.events import MARKET_KEY, ClockTick, encode, micros, moment

_MINUTE = 60_000_000
BEAT_US = {"intraday": _MINUTE, "daily": 60 * _MINUTE}
_CLOSING_US = 2 * _MINUTE  # the last beat: past any pane's end and lateness
_CLOCK_KEY = MARKET_KEY.encode()


@dataclass
class Slice:
    """Consecutive records: `news` first, then `tape`, both in order of availability."""

    news: list[Timed] = field(default_factory=list)
    tape: list[Timed] = field(default_factory=list)
    n_signals: int = 0  # at most so many will come of it


def with_clock(dataset: Dataset, from_us: int | None, until_us: int | None) -> Iterator[Timed]:
    """Records with from_us <= at < until_us, and clock ticks (key `*`) in between."""
    first, last = dataset.span
    start = first if from_us is None else from_us
    end = last + 1 if until_us is None else min(until_us, last + 1)
    chosen = (timed for timed in dataset.events() if start <= timed.at < end)
    sessions = (
        _clock(dataset.tape, tick)
        for tick in heapq.merge(
            *(ticks_between(calendar, start - 1, end - 1) for calendar in dataset.calendars),
            key=lambda tick: tick.at,
        )
    )
    beat_us = BEAT_US[dataset.feature_set]
    due: list[int] = []  # the beats after the interval at hand: at most two
    for timed in heapq.merge(sessions, chosen, key=lambda timed: timed.at):
        while due and due[0] <= timed.at:
            yield _beat(dataset.tape, due.pop(0))
        following = timed.at - timed.at % beat_us + beat_us
        due = sorted({*due, following, following + beat_us})
        yield timed
    if end > last:
        yield _beat(dataset.tape, end + beat_us + _CLOSING_US)
    else:
        yield _beat(dataset.tape, end)


def slices(
    records: Iterator[Timed], *, most_records: int, most_signals: int, most_us: int
) -> Iterator[Slice]:
    """Cut `records` where a slice would hold more than any of the limits."""
    cut = Slice()
    began: int | None = None
    panes: set[tuple[bytes, int]] = set()
    for timed in records:
        n = len(cut.news) + len(cut.tape)
        long = began is not None and timed.at - began > most_us
        if n and (n >= most_records or cut.n_signals >= most_signals or long):
            yield cut
            cut, began = Slice(), None
            panes.clear()
        if began is None:
            began = timed.at
        if timed.topic == "news":
            cut.news.append(timed)
            cut.n_signals += 2
        else:
            cut.tape.append(timed)
            pane = (timed.key, timed.at // _MINUTE)
            if timed.key != _CLOCK_KEY and pane not in panes:
                panes.add(pane)
                cut.n_signals += 1
    if cut.news or cut.tape:
        yield cut


def _clock(tape: str, tick: ClockTick) -> Timed:
    return Timed(tape, micros(tick.at), _CLOCK_KEY, encode(tick))


def _beat(tape: str, at: int) -> Timed:
    return _clock(tape, ClockTick(kind="beat", at=moment(at)))
