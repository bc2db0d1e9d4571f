"""What a partition owes the market, interval by interval, and what it awaits from it. Pure.

its panes close ... │ end of an interval │ take: its PaneEnd is due │ answered: the MarketPane
                    traded[end]           awaited                     came
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stream.events import PaneEnd, SymbolEnd, moment
from stream.features.marketbook import MarketRule

_MOST_SYMBOLS = 2_000


def pane_ends(
    partition: int, end: int, names: tuple[str, ...], symbols: Sequence[SymbolEnd]
) -> Iterator[PaneEnd]:
    """What `symbols` did in the interval that ended at `end`, in parts that a record can hold."""
    for first in range(0, len(symbols) or 1, _MOST_SYMBOLS):
        part = tuple(symbols[first : first + _MOST_SYMBOLS])
        yield PaneEnd(
            partition=partition,
            end=moment(end),
            names=names if part else (),
            symbols=part,
            more=first + _MOST_SYMBOLS < len(symbols),
        )


class Intervals:
    """Times in microseconds. `due_at` is the event time at which the next PaneEnd is due."""

    def __init__(self, rule: MarketRule, lateness_us: int) -> None:
        self.rule = rule
        self.due_at = 0
        self.sent = 0  # every interval that ends here or before has been told of
        self.waiting: dict[int, set[str]] = {}  # pane end -> symbols to be scored with it
        self._traded: dict[int, set[str]] = {}
        self._awaited: list[int] = []  # ends told of and not answered, ascending
        self.set_lateness(lateness_us)

    def set_lateness(self, lateness_us: int) -> None:
        """How long after its end a pane waits for ticks."""
        self._gather_us = lateness_us + self.rule.gather_us
        self._settle_us = lateness_us + self.rule.settle_us
        self._note_due()

    def counts_at(self, end: int) -> int:
        """When the MarketPane of `end` counts."""
        return end + self._settle_us

    def known_end(self, as_of: int) -> int:
        """The newest end whose MarketPane counts at `as_of`."""
        return as_of - self._settle_us

    def trade(self, symbol: str, end: int) -> bool:
        """A pane of the interval has closed; False where that has been told of already."""
        if end <= self.sent:
            return False
        self._traded.setdefault(end, set()).add(symbol)
        self._note_due()
        return True

    def close(self, end: int) -> None:
        """A session ends at `end`, whether or not a symbol of this partition trades in it."""
        if self.rule.interval_us is None and end > self.sent:
            self._traded.setdefault(end, set())
            self._note_due()

    def take(self, event_time: int) -> list[tuple[int, set[str]]]:
        """Ends that are due, and who traded; where time jumped, the last of those with nobody."""
        through = event_time - self._gather_us
        ends = [end for end in sorted(self._traded) if end <= through]
        taken = [(end, self._traded.pop(end)) for end in ends]
        width = self.rule.interval_us
        if width is not None and (last := through - through % width) > max(self.sent, *ends, 0):
            taken.append((last, set()))
        if taken:
            self.sent = taken[-1][0]
            self._awaited += [end for end, _ in taken]
        self._note_due()
        return taken

    def answered(self, end: int) -> list[tuple[int, str]]:
        """The market is known through `end`: who waited for it, with their panes' ends."""
        self._awaited = [each for each in self._awaited if each > end]
        return self._released(end)

    def overdue(self, event_time: int) -> list[tuple[int, str]]:
        """Who has waited long enough, with their panes' ends."""
        return self._released(event_time - self._settle_us)

    def unanswered(self, event_time: int) -> int | None:
        """An end that was told of, counts by `event_time`, and is not known yet."""
        awaited = self._awaited
        return awaited[0] if awaited and awaited[0] + self._settle_us <= event_time else None

    def _released(self, end: int) -> list[tuple[int, str]]:
        ends = [each for each in sorted(self.waiting) if each <= end]
        return [(each, symbol) for each in ends for symbol in sorted(self.waiting.pop(each))]

    def _note_due(self) -> None:
        width = self.rule.interval_us
        ends = [*self._traded] if width is None else [self.sent - self.sent % width + width]
        self.due_at = min(ends) + self._gather_us if ends else 1 << 62

    def copy_of(self, symbol: str) -> Intervals:
        """What this one symbol owes and awaits."""
        copy = Intervals(self.rule, self._gather_us - self.rule.gather_us)
        copy.restore(self.meta())
        for ends in (copy.waiting, copy._traded):
            for end, symbols in ends.items():
                ends[end] = symbols & {symbol}
        return copy

    def meta(self) -> dict[str, Any]:
        """What a checkpoint keeps (JSON types)."""
        return {
            "sent": self.sent,
            "awaited": self._awaited,
            "traded": {str(end): sorted(symbols) for end, symbols in self._traded.items()},
            "waiting": {str(end): sorted(symbols) for end, symbols in self.waiting.items()},
        }

    def restore(self, meta: Mapping[str, Any]) -> None:
        """Take what `meta` gave."""
        self.sent = int(meta["sent"])
        self._awaited = list(meta["awaited"])
        self._traded = {int(end): set(symbols) for end, symbols in meta["traded"].items()}
        self.waiting = {int(end): set(symbols) for end, symbols in meta["waiting"].items()}
        self._note_due()
