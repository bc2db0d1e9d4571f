"""The panes of one symbol that still take trades."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from stream.errors import Rejected
from stream.features.panes import Pane
from stream.features.seen import SeenTrades
from stream.features.vector import FeatureSet


class Misc(msgspec.Struct, array_like=True):
    """Of a symbol, what no other slot holds. Times in microseconds; 0 before the first."""

    closed_through: int = 0  # every pane that ends here or before is closed
    newest: int = 0  # highest time on the tape seen
    last_price: float | None = None
    last_trade_at: int | None = None
    early_close: tuple[int, int] | None = None


class OpenPanes:
    """Trades into panes; `changed` collects the checkpoint's slots that changed."""

    def __init__(self, feature_set: FeatureSet, changed: dict[str, None]) -> None:
        self.misc = Misc()
        self.panes: dict[int, Pane] = {}  # by start
        self._feature_set = feature_set
        self._pane_us = feature_set.pane_us
        self._changed = changed
        self._seen: dict[int, SeenTrades] = {}  # by start
        self._current: Pane | None = None  # the one that last took a trade
        self._traded = False  # since the last `note_changes`

    def add(
        self,
        ts: int,
        price: float,
        size: float,
        *,
        bid: float | None = None,
        ask: float | None = None,
        regular: bool = True,
    ) -> bool:
        """Add a trade to its pane; False, with nothing changed, where that is closed (late)."""
        pane = self._current
        if pane is None or not pane.start <= ts < pane.end:
            pane = self._pane_of(ts, price)
            if pane is None:
                return False
        pane.add(ts, price, size, bid, ask, regular)
        self._traded = True
        misc = self.misc
        misc.last_price = price
        if ts > misc.newest:
            misc.newest = ts
        return True

    def repeats(self, ts: int, exchange: str, seq: int) -> bool:
        """Whether the open pane of `ts` has this trade already; it has it from now on."""
        width = self._pane_us
        if width is None:
            return False
        start = ts - ts % width
        if start + width <= self.misc.closed_through:
            return False
        seen = self._seen.get(start)
        if seen is None:
            seen = self._seen[start] = SeenTrades()
        if not seen.add(exchange, seq):
            return True
        self._changed[f"seen|{start}"] = None
        return False

    def _pane_of(self, ts: int, price: float) -> Pane | None:
        width = self._pane_us
        if width is None:
            raise Rejected(f"feature set {self._feature_set.name!r} expects bars, got a trade")
        start = ts - ts % width
        if start + width <= self.misc.closed_through:
            return None
        pane = self.panes.get(start)
        if pane is None:
            pane = self.panes[start] = Pane.of_interval(start, start + width, price)
        self._current = pane
        return pane

    def next_close(self) -> int | None:
        """End of the oldest one."""
        return min((pane.end for pane in self.panes.values()), default=None)

    def take_through(self, end: int) -> list[Pane]:
        """Take out those with pane.end <= end, in time order."""
        starts = sorted(start for start, pane in self.panes.items() if pane.end <= end)
        taken = [self.panes.pop(start) for start in starts]
        for start in starts:
            self._changed[f"open|{start}"] = None
        if self._current is not None and self._current.end <= end:
            self._current = None
        for start in [at for at in self._seen if at + (self._pane_us or 0) <= end]:
            del self._seen[start]
            self._changed[f"seen|{start}"] = None
        return taken

    def note_changes(self) -> None:
        """Count the panes as changed where a trade came since the last call."""
        if self._traded:
            for start in sorted(self.panes):
                self._changed[f"open|{start}"] = None
            self._changed["misc"] = None
            self._traded = False

    def slot_value(self, kind: str, start: int) -> Pane | SeenTrades | None:
        """What slot `open` or `seen` holds now; None where it is gone."""
        return self.panes.get(start) if kind == "open" else self._seen.get(start)

    def restore(self, slots: Mapping[str, Mapping[str, bytes]]) -> None:
        """Take a checkpoint's slots, by kind and key."""
        for raw in slots["misc"].values():
            self.misc = msgspec.json.decode(raw, type=Misc)
        for start, raw in slots["open"].items():
            self.panes[int(start)] = msgspec.json.decode(raw, type=Pane)
        for start, raw in slots["seen"].items():
            self._seen[int(start)] = msgspec.json.decode(raw, type=SeenTrades)
