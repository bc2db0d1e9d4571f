"""Which panes are open, and who traded in them. Pure; times in microseconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

NEVER = 1 << 62


class OpenPanes:
    """Symbols by the end of their open pane; `first_end` is the end that comes first."""

    def __init__(self) -> None:
        self.first_end = NEVER
        self._traded: dict[int, set[str]] = {}

    def add(self, end: int, symbol: str) -> None:
        """Note a trade in the pane that ends at `end`."""
        traded = self._traded.get(end)
        if traded is None:
            traded = self._traded[end] = set()
            if end < self.first_end:
                self.first_end = end
        traded.add(symbol)

    def take_first(self) -> list[str]:
        """Who traded in the panes that end at `first_end`, by name; it goes on to the next."""
        symbols = sorted(self._traded.pop(self.first_end))
        self.first_end = min(self._traded, default=NEVER)
        return symbols

    def copy_of(self, symbol: str) -> OpenPanes:
        """The open panes of this one symbol."""
        copy = OpenPanes()
        copy.restore({end: [symbol] for end, symbols in self._traded.items() if symbol in symbols})
        return copy

    def meta(self) -> dict[str, list[str]]:
        """What a checkpoint keeps (JSON types)."""
        return {str(end): sorted(symbols) for end, symbols in self._traded.items()}

    def restore(self, meta: Mapping[str, Sequence[str]] | Mapping[int, Sequence[str]]) -> None:
        """Take what `meta` gave."""
        self._traded = {int(end): set(symbols) for end, symbols in meta.items()}
        self.first_end = min(self._traded, default=NEVER)
