"""What an expected return is of, and what a model counts it in."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

# raw: the return. scaled: it, in units. relative: the part beyond the market's, in units.
Target = Literal["raw", "scaled", "relative"]


class Unit(Struct, frozen=True, kw_only=True):
    """The larger of scale_bps times a feature and floor_bps, known with the vector.

    feature : a volatility. A vector without it has the floor: the least that is expected of so
        many units, rather than a guess.
    """

    feature: str
    scale_bps: float
    floor_bps: float

    def bps(self, value: float | None) -> float:
        """Basis points of one unit, by the feature's value; None and NaN are no data."""
        if value is None or value != value:
            return self.floor_bps
        return max(self.floor_bps, self.scale_bps * value)
