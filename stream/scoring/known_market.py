"""What a partition knows of the market, and what one symbol's vectors may see of it. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping

from stream.events import MarketPane, decode, encode
from stream.features.marketbook import MarketBook, MarketRule, MarketView
from stream.features.symbol import SymbolState


class KnownMarket:
    """The MarketPanes that came, as slots by their ends. Times in microseconds."""

    def __init__(self, rule: MarketRule) -> None:
        self._rule = rule
        self._book = MarketBook(rule)
        self._changed: set[int] = set()
        self._views: dict[str, tuple[tuple[int, str, int], MarketView]] = {}

    @property
    def through(self) -> int:
        """The market is known to here."""
        return self._book.through

    def add(self, end: int, pane: MarketPane) -> bool:
        """Take the newest; False, with nothing changed, where its end is known already."""
        if not self._book.add(end, pane):
            return False
        if pane.n_symbols:
            self._changed |= {end, *self._book.forget()}
        return True

    def view(self, state: SymbolState, sector: str, oldest: int, known: int) -> MarketView | None:
        """What a vector may see that knows the ends to `known`; None where all are before `oldest`.

        A symbol's view is made once an interval: what it computes serves every vector in it.
        """
        ends = self._book.ends
        high = bisect_right(ends, known)
        if not high or ends[high - 1] < oldest:
            return None
        key = (ends[high - 1], sector, state.n_moves)
        seen = self._views.get(state.symbol)
        if seen is None or seen[0] != key:
            view = MarketView(self._book, self._rule, high, sector, state.moves)
            seen = self._views[state.symbol] = key, view
        return seen[1]

    def copy(self) -> KnownMarket:
        """One that goes its own way from here."""
        copy, book = KnownMarket(self._rule), self._book
        copy._book.restore(book.through, dict(zip(book.ends, book.panes, strict=True)))
        return copy

    def take_changes(self) -> Iterator[tuple[str, bytes | None]]:
        """Slots changed since the last call; None for those that are gone."""
        known = dict(zip(self._book.ends, self._book.panes, strict=True))
        for end in sorted(self._changed):
            pane = known.get(end)
            yield str(end), None if pane is None else encode(pane)
        self._changed.clear()

    def restore(self, through: int, slots: Mapping[str, bytes]) -> None:
        """Take the slots of a checkpoint."""
        panes = {int(end): decode(MarketPane, raw) for end, raw in slots.items()}
        self._book.restore(through, panes)
