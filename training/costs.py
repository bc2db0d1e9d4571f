"""What trading costs, and what is left after it. Returns and costs are fractions. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

COSTS_BPS = (0.0, 2.0, 5.0, 10.0)  # a side, at which every report says what is left
YEAR_US = 365 * 86_400_000_000


@dataclass(frozen=True)
class Costs:
    """Of one setting.

    per_side : least cost of a buy or of a sale, of its value.
    half_tick : of a share, in currency units; where it is more than per_side, it is paid.
    borrow_per_year : of a short's value.
    """

    per_side: float
    half_tick: float = 0.0
    borrow_per_year: float = 0.005

    def round_trip(self, price: Floats) -> Floats:
        """In and out at about `price`; NaN, an unknown price, costs the least."""
        cost: Floats = 2.0 * np.fmax(self.per_side, self.half_tick / price)
        return cost


DAILY = Costs(per_side=5e-4)
INTRADAY = Costs(per_side=1e-4, half_tick=0.005)


class AfterCosts(NamedTuple):
    """Mean return of a position by cost a side in basis points, and the cost that leaves nothing.

    break_even_bps : None without a position; below 0 where the positions lose before any cost.
    """

    mean: dict[float, float]
    break_even_bps: float | None


def net_returns(
    side: Floats | Ints,
    forward_return: Floats,
    held_us: Ints,
    cost_bps: float,
    borrow_per_year: float = DAILY.borrow_per_year,
) -> Floats:
    """What each position earns after two sides of `cost_bps` and, when short, the borrow.

    Parameters
    ----------
    side : 1 long, -1 short, 0 none, which earns 0.
    held_us : from entry to exit.
    """
    borrow = np.where(side < 0, borrow_per_year * held_us / YEAR_US, 0.0)
    net: Floats = side * forward_return - np.abs(side) * 2e-4 * cost_bps - borrow
    return net


def after_costs(
    side: Floats | Ints,
    forward_return: Floats,
    held_us: Ints,
    costs_bps: Sequence[float] = COSTS_BPS,
    borrow_per_year: float = DAILY.borrow_per_year,
) -> AfterCosts:
    """Means over the positions that have a side; arguments as of `net_returns`."""
    taken = side != 0
    if not taken.any():
        return AfterCosts(dict.fromkeys(costs_bps, 0.0), None)
    free = net_returns(side, forward_return, held_us, 0.0, borrow_per_year)[taken].mean()
    return AfterCosts(
        {bps: float(free - 2e-4 * bps) for bps in costs_bps}, break_even_bps=float(free / 2e-4)
    )
