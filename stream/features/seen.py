"""Which numbered trades an open pane has taken, so that a trade sent twice counts once.

Numbers are kept as ranges: a source that counts without gaps costs one, however many its trades.
"""

from __future__ import annotations

from bisect import bisect_right

from msgspec import Struct


class SeenTrades(Struct, array_like=True):
    """Trade numbers by exchange: for each the sorted, disjoint ranges (first, last)."""

    ranges: dict[str, list[tuple[int, int]]] = {}

    def add(self, exchange: str, seq: int) -> bool:
        """Note a trade; False where it was noted before."""
        known = self.ranges.setdefault(exchange, [])
        at = bisect_right(known, seq, key=lambda each: each[0])
        first = last = seq
        if at and known[at - 1][1] >= seq:
            return False
        if at < len(known) and known[at][0] == seq + 1:
            last = known.pop(at)[1]
        if at and known[at - 1][1] == seq - 1:
            at -= 1
            first = known.pop(at)[0]
        known.insert(at, (first, last))
        return True
