"""What a partition tells the market, interval by interval, and what it sees of it. Pure.

panes close ──► intervals ──► PaneEnd         told: each symbol's move and ranked values
MarketPane  ──► known     ──► MarketView      seen: what counts at a vector's as_of
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stream.engine.step import NotYet
from stream.events import PaneEnd, SymbolEnd, TriggerKind, moment
from stream.features.marketbook import MarketView
from stream.features.vector import FeatureSet
from stream.scoring.due import Due
from stream.scoring.intervals import Intervals, pane_ends
from stream.scoring.known_market import KnownMarket
from stream.scoring.symbols import Symbols


class MarketDialogue:
    """Of one partition. `ends` waits to be taken and sent. Times in microseconds."""

    def __init__(
        self, partition: int, features: FeatureSet, lateness_us: int, symbols: Symbols
    ) -> None:
        self.rule = features.market
        self.known = KnownMarket(self.rule)
        self.intervals = Intervals(self.rule, lateness_us)
        self.ends: list[PaneEnd] = []
        self._partition = partition
        self._symbols = symbols
        self._compared = features.compared

    def wait(self, event_time: int) -> None:
        """Raise NotYet where a MarketPane that counts by `event_time` has not come."""
        end = self.intervals.unanswered(event_time)
        if end is not None:
            raise NotYet(f"the MarketPane of {moment(end).isoformat()}")

    def close(self, symbol: str, pane_end: int, event_time: int) -> bool:
        """Note that a pane closed; whether it is to be scored with a MarketPane to come."""
        end = self.rule.end_of(pane_end)
        if not self.intervals.trade(symbol, end):
            self._note_move(symbol, end, self._symbols.states[symbol].told(end)[0])
        known = max(self.known.through, self.intervals.known_end(event_time))
        if not self.rule.waits or pane_end <= known:
            return False
        self.intervals.waiting.setdefault(pane_end, set()).add(symbol)
        return True

    def tell(self, event_time: int, due: Sequence[Due]) -> None:
        """Say what symbols did in the intervals that are over, and keep their moves.

        Vectors that are due already are not computed twice.
        """
        for end, traded in self.intervals.take(event_time):
            known = {
                one.symbol: [one.vector[place] for place in self._compared]
                for one in due
                if one.cut == end and one.trigger == "pane" and one.vector
            }
            told = []
            for symbol in sorted(traded):
                move, *values = known.get(symbol) or self._symbols.states[symbol].told(end)
                self._note_move(symbol, end, move)
                told.append(SymbolEnd(symbol, self._symbols.sector(symbol), move, tuple(values)))
            self.ends += pane_ends(self._partition, end, self.rule.ranked, told)

    def view(self, symbol: str, trigger: TriggerKind, as_of: int, cut: int) -> MarketView | None:
        """What a vector may see of the market; None where too little is known of it.

        A pane that waits for its own MarketPane is not content with an older one.
        """
        known = self.intervals.known_end(as_of)
        own = self.rule.waits and trigger == "pane"
        oldest = cut if own else known - self.rule.fresh_us
        state = self._symbols.states[symbol]
        return self.known.view(state, self._symbols.sector(symbol), oldest, known)

    def _note_move(self, symbol: str, end: int, move: float | None) -> None:
        if move is not None:
            self._symbols.states[symbol].note_move(end, move)
            self._symbols.touched.add(symbol)

    def meta(self) -> dict[str, Any]:
        """What a checkpoint keeps besides the slots of `known`."""
        return {"through": self.known.through, **self.intervals.meta()}

    def restore(self, meta: Mapping[str, Any], slots: Mapping[str, bytes]) -> None:
        """Take what `meta` gave, and the slots."""
        self.known.restore(int(meta["through"]), slots)
        self.intervals.restore(meta)
