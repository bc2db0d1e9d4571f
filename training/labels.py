"""Labels: the return from the next tradable price after as_of, over the horizon.

    as_of            entry pane             exit pane
    --|---------|----[=====]---- ... -------[=====]
                     start >= as_of         start >= entry's start + horizon, or n sessions on

Intraday buys and sells at the VWAP of a whole pane, known at its end; daily at the open.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from math import sqrt

import numpy as np
import numpy.typing as npt

from stream.features.adjust import Action
from stream.features.panes import DAY_US, MINUTE_US, Pane

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class LabelRule:
    """How rows of a feature set are labelled. Returns and cost are fractions, times us.

    max_wait_us : a later entry or exit than this leaves the row out; None: any later session.
    sessions : the horizon in panes; None: in time.
    volatility : the feature that holds it, and what scales it to the horizon.
    """

    horizon: str
    horizon_us: int
    max_wait_us: int | None
    sessions: int | None
    volatility: str
    volatility_scale: float
    k: float  # of the horizon's volatility, for a move to count as one
    cost: float  # of a round trip; smaller moves are NEUTRAL


LABEL_RULES = {
    "intraday": LabelRule(
        horizon="30m",
        horizon_us=30 * MINUTE_US,
        max_wait_us=10 * MINUTE_US,
        sessions=None,
        volatility="volatility_realised_1h",
        volatility_scale=sqrt(0.5),
        k=0.5,
        cost=2e-4,
    ),
    "daily": LabelRule(
        horizon="1d",
        horizon_us=DAY_US,
        max_wait_us=None,
        sessions=1,
        volatility="volatility_realised_20d",
        volatility_scale=sqrt(1 / 20),
        k=0.5,
        cost=1e-3,
    ),
}


class Left(IntEnum):
    """Why a row has no label; the name is what a report says."""

    LABELLED = 0
    UNMATURED = 1  # the horizon ends after the data does
    NO_ENTRY = 2  # nothing traded soon enough after as_of
    NO_EXIT = 3  # nothing traded soon enough after the horizon


@dataclass(frozen=True)
class Labels:
    """One entry a row; where `left` is not LABELLED the others mean nothing."""

    entry_us: Ints
    exit_us: Ints
    forward_return: Floats
    left: npt.NDArray[np.int8]


def forward_returns(
    as_of: Sequence[int] | Ints,
    panes: Sequence[Pane],
    actions: Iterable[Action],
    rule: LabelRule,
    until_us: int,
) -> Labels:
    """Label rows of one symbol.

    Parameters
    ----------
    as_of : when each row was known, microseconds, any order.
    panes : the symbol's closed panes, in time order.
    actions : its splits and dividends; used unless every pane carries an adjusted close.
    until_us : event time at the end of the data; what matures later is UNMATURED.
    """
    known = np.asarray(as_of, dtype=np.int64)
    n, m = len(known), len(panes)
    starts = np.array([pane.start for pane in panes], dtype=np.int64)
    ends = np.array([pane.end for pane in panes], dtype=np.int64)
    at_open = rule.sessions is not None
    adjusted = all(pane.adj_close is not None for pane in panes)
    prices = np.array([_price(pane, at_open, adjusted) for pane in panes], dtype=np.float64)
    left = np.zeros(n, dtype=np.int8)

    entry = np.searchsorted(starts, known)
    found, entry, wait = _found(starts, entry, known)
    left[~found] = Left.NO_ENTRY
    left[~found & (known + (rule.max_wait_us or rule.horizon_us) > until_us)] = Left.UNMATURED
    if m == 0:
        return Labels(known, known, np.zeros(n), left)
    if rule.max_wait_us is not None:
        left[found & (wait > rule.max_wait_us)] = Left.NO_ENTRY

    if rule.sessions is None:
        target = starts[entry] + rule.horizon_us
        exit_ = np.searchsorted(starts, target)
    else:
        target = known
        exit_ = entry + rule.sessions
    entered = left == Left.LABELLED
    found, exit_, wait = _found(starts, exit_, target)
    left[entered & ~found] = Left.UNMATURED
    if rule.max_wait_us is not None:
        gone = target + rule.max_wait_us <= until_us
        left[entered & ~found & gone] = Left.NO_EXIT
        left[entered & found & (wait > rule.max_wait_us)] = Left.NO_EXIT

    when = starts if at_open else ends
    value = prices[exit_]
    if not adjusted:
        value = held_worth(value, ends[entry], ends[exit_], actions)
    return Labels(when[entry], when[exit_], value / prices[entry] - 1.0, left)


def classes(forward_return: Floats, volatility: Floats, rule: LabelRule) -> npt.NDArray[np.int64]:
    """0 bearish, 1 neutral, 2 bullish: by the larger of k x volatility and the cost.

    Parameters
    ----------
    volatility : of the return over the horizon, known at as_of; a fraction.
    """
    least = np.maximum(rule.k * volatility, rule.cost)
    return 1 + (forward_return > least).astype(np.int64) - (forward_return < -least)


def _price(pane: Pane, at_open: bool, adjusted: bool) -> float:
    price = pane.open if at_open else pane.close
    if not at_open and pane.volume > 0.0:
        price = pane.notional / pane.volume
    if adjusted and pane.adj_close is not None:
        price *= pane.adj_close / pane.close
    return price


def _found(
    starts: Ints, at: npt.NDArray[np.intp], wanted: Ints
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.intp], Ints]:
    """Whether a pane is there, its index (clipped), and how long one waits for it."""
    found = at < len(starts)
    if not len(starts):
        return found, at, np.zeros(len(wanted), dtype=np.int64)
    clipped = np.minimum(at, len(starts) - 1)
    return found, clipped, starts[clipped] - wanted


def held_worth(value: Floats, entry_end: Ints, exit_end: Ints, actions: Iterable[Action]) -> Floats:
    """What one share bought is worth, through the actions between the panes of entry and exit.

    As in `adjust`, a pane that ends at or before ex_at comes before the action.
    """
    shares, cash = np.ones(len(value)), np.zeros(len(value))
    for action in sorted(actions):
        inside = (entry_end <= action.ex_at) & (action.ex_at < exit_end)
        if action.kind == "split":
            shares[inside] *= action.value
        else:
            cash[inside] += shares[inside] * action.value
    return value * shares + cash
