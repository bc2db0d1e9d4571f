"""The market panes that a partition knows, and what one vector may see of them.

end of an interval     + lateness + gather        + lateness + settle
|----------------------|--------------------------|-------------------
                       a partition says what      from here on its MarketPane counts, whenever
                       it has (PaneEnd)           it came; it is there long before
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import fsum
from operator import itemgetter
from typing import Any, TypeVar

from stream.events import MarketPane
from stream.features.panes import DAY_US
from stream.features.view import Window

Moves = list[tuple[int, float]]
T = TypeVar("T", bound=tuple[Any, ...])


@dataclass(frozen=True)
class MarketRule:
    """How a feature set divides the market's time; all in microseconds.

    interval_us : intervals end on multiples of it; None: with each session, where bars do.
    gather_us : after end and lateness, when a partition says what its symbols did.
    settle_us : after end and lateness, when the MarketPane counts.
    waits : whether a pane's signal waits for its own MarketPane, until `settle_us` at most.
    kept_us : older MarketPanes than this count for nothing.
    fresh_us : the newest one older than this: the market is not known.
    move : the feature that is a symbol's return over an interval; `ranked` are those compared.
    """

    interval_us: int | None
    gather_us: int
    settle_us: int
    waits: bool
    kept_us: int
    fresh_us: int
    move: str
    ranked: tuple[str, ...]

    @property
    def memory_us(self) -> int:
        """How long to remember: a vector may be of a moment somewhat before the newest pane."""
        return self.kept_us * 5 // 4

    def end_of(self, pane_end: int) -> int:
        """The end of the interval that a pane belongs to."""
        width = self.interval_us
        return pane_end if width is None else -(-pane_end // width) * width


class MarketBook:
    """MarketPanes in order of their ends; those of intervals without a trade only move `through`.

    `through` : the market is known to here, in microseconds.
    """

    def __init__(self, rule: MarketRule) -> None:
        self.through = 0
        self.ends: list[int] = []
        self.panes: list[MarketPane] = []
        self._memory_us = rule.memory_us
        self._moves: tuple[tuple[int, int], Moves] | None = None

    def add(self, end: int, pane: MarketPane) -> bool:
        """Take the newest; False, with nothing changed, where its end is known already."""
        if end <= self.through:
            return False
        self.through = end
        if pane.n_symbols:
            self.ends.append(end)
            self.panes.append(pane)
        return True

    def forget(self) -> list[int]:
        """Drop what counts for nothing any more; returns the ends."""
        n = bisect_right(self.ends, self.through - self._memory_us)
        gone = self.ends[:n]
        del self.ends[:n], self.panes[:n]
        self._moves = None
        return gone

    def moves(self, low: int, high: int) -> Moves:
        """(end, the market's log return) of panes[low:high]; every symbol asks for the same."""
        if self._moves is None or self._moves[0] != (low, high):
            ends, panes = self.ends[low:high], self.panes[low:high]
            pairs = zip(ends, panes, strict=True)
            found = [(end, pane.benchmark) for end, pane in pairs if pane.benchmark is not None]
            self._moves = (low, high), found
        return self._moves[1]

    def restore(self, through: int, panes: Mapping[int, MarketPane]) -> None:
        """Take the panes of a checkpoint, by their ends."""
        self.through = through
        self.ends = sorted(panes)
        self.panes = [panes[end] for end in self.ends]


class MarketView:
    """What the vector of one symbol may see: panes[:high] of the book, its own moves by end.

    Nothing in it is older than the rule's `kept_us` before the newest pane's end.
    """

    def __init__(
        self, book: MarketBook, rule: MarketRule, high: int, sector: str, moves: Mapping[int, float]
    ) -> None:
        self.newest = book.panes[high - 1]
        self._newest_end = book.ends[high - 1]
        low = bisect_right(book.ends, self._newest_end - rule.kept_us)
        self._book = book
        self._all = book.moves(low, high)
        self._sector = sector
        self._own = moves
        self._computed: dict[int, list[float | None]] = {}

    def once(self, compute: Callable[[MarketView], list[float | None]]) -> list[float | None]:
        """What `compute` gives; one view serves every vector of its interval."""
        values = self._computed.get(id(compute))
        if values is None:
            values = self._computed[id(compute)] = compute(self)
        return values

    @cached_property
    def pairs(self) -> list[tuple[int, float, float]]:
        """(end, own return, the market's) of the intervals that both know, oldest first."""
        own = self._own
        return [(end, mine, its) for end, its in self._all if (mine := own.get(end)) is not None]

    def moved(self, window: Window) -> float | None:
        """The market's log return over a window; None where it knows too few intervals."""
        moves = self._newest(self._all, window)
        return fsum([move for _, move in moves]) if moves else None

    def within(self, window: Window) -> list[tuple[int, float, float]]:
        """The pairs of a window; none where one in sessions has too few."""
        return self._newest(self.pairs, window)

    def sector_return(self, end: int) -> float | None:
        """The mean return of the symbol's sector; None without a sector."""
        pane = self._book.panes[bisect_left(self._book.ends, end)]
        mean = pane.sectors.get(self._sector) if self._sector else None
        return None if mean is None else mean.mean

    def _newest(self, found: list[T], window: Window) -> list[T]:
        n = window.panes
        if n:
            return found[-n:] if len(found) >= n else []
        after = self._newest_end - window.us
        return found[bisect_right(found, after, key=itemgetter(0)) :]


def sessions_us(n: int) -> int:
    """Time that holds `n` sessions, holidays included."""
    return (n * 7 // 5 + 10) * DAY_US
