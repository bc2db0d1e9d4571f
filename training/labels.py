"""Labels: the return from the first price after as_of + latency, over the horizon.

    as_of  latency  entry pane             exit pane
    --|------|------[=====]---- ... -------[=====]---
             start >= as_of + latency      start >= entry's start + horizon, or n sessions on

Intraday buys and sells at the price of a whole pane, known at its end; daily at the open. Returns
are before costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from training.label_rules import LabelRule
from training.prices import NEVER, PricePath

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Left(IntEnum):
    """Why a row has no label; the name is what a report says."""

    LABELLED = 0
    UNMATURED = 1  # the horizon ends after the data does
    NO_ENTRY = 2  # nothing traded soon enough after as_of
    NO_EXIT = 3  # nothing traded soon enough after the horizon
    CROSSES_CLOSE = 4  # the horizon ends after the session does


class Labels(NamedTuple):
    """One entry a row; where `left` is not LABELLED the others mean nothing."""

    entry_us: Ints
    exit_us: Ints
    forward_return: Floats
    left: npt.NDArray[np.int8]


def forward_returns(
    as_of: Sequence[int] | Ints, path: PricePath, rule: LabelRule, until_us: int
) -> Labels:
    """Label rows of one symbol.

    Parameters
    ----------
    as_of : when each row was known, microseconds, any order.
    until_us : event time at the end of the data; what matures later is UNMATURED.
    """
    known = np.asarray(as_of, dtype=np.int64)
    n = len(path.price)
    entry, wait = _entries(known, path, rule)
    left = np.where(wait > rule.max_wait_us, Left.NO_ENTRY, Left.LABELLED).astype(np.int8)
    may_come = rule.tradable & (known + rule.latency_us + rule.max_wait_us > until_us)
    left[(entry == n) & may_come] = Left.UNMATURED
    if n == 0:
        return Labels(known, known, np.zeros(len(known)), left)
    entry = np.minimum(entry, n - 1)

    exit_, target = _exits(entry, path, rule)
    found = exit_ < n
    exit_ = np.minimum(exit_, n - 1)
    late = path.start_us[exit_] - target > rule.max_exit_wait_us
    gone = target + rule.max_exit_wait_us  # from here on nothing can come any more
    entered = left == Left.LABELLED
    left[entered & (late | ~found)] = Left.NO_EXIT
    if path.sessions is not None and not rule.over_close:
        close = path.sessions.ends[path.sessions.at(path.start_us[entry])]
        gone = np.minimum(gone, close)
        crosses = (target >= close) | (found & (path.end_us[exit_] > close))
        left[entered & crosses] = Left.CROSSES_CLOSE
    left[(left == Left.NO_EXIT) & ~found & (gone > until_us)] = Left.UNMATURED
    forward_return = path.price[exit_] / path.price[entry] - 1.0
    return Labels(path.at_us[entry], path.at_us[exit_], forward_return, left)


def classes(
    forward_return: Floats, volatility: Floats, rule: LabelRule, cost: Floats | None = None
) -> Ints:
    """0 bearish, 1 neutral, 2 bullish: by the larger of k x volatility and the round trip.

    Parameters
    ----------
    volatility : of the return over the horizon, known at as_of; a fraction.
    cost : of each row's round trip; None: the rule's least.
    """
    least = np.maximum(rule.k * volatility, rule.cost if cost is None else cost)
    return 1 + (forward_return > least).astype(np.int64) - (forward_return < -least)


def _entries(known: Ints, path: PricePath, rule: LabelRule) -> tuple[npt.NDArray[np.intp], Ints]:
    """The pane of each entry, n where there is none, and how far it is: NEVER for none."""
    if rule.tradable:
        wanted = known + rule.latency_us
        starts = np.append(path.start_us, NEVER)
        entry = np.searchsorted(path.start_us, wanted)
        return entry, starts[entry] - wanted
    ends = np.append(path.end_us, -NEVER)
    entry = np.searchsorted(path.end_us, known, side="right") - 1
    return entry % len(ends), known - ends[entry]


def _exits(
    entry: npt.NDArray[np.intp], path: PricePath, rule: LabelRule
) -> tuple[npt.NDArray[np.intp], Ints]:
    """The pane of each exit, n where there is none, and when the horizon ends."""
    begin = path.start_us[entry]
    target = begin + rule.horizon_us
    if rule.sessions is not None and rule.price != "vwap":
        return entry + rule.sessions, target
    if rule.sessions is not None and path.sessions is not None:
        at, opens = path.sessions.at(begin), np.append(path.sessions.opens, NEVER)
        later = opens[np.minimum(at + rule.sessions, len(opens) - 1)]
        target = np.where(later == NEVER, NEVER, begin + later - opens[at])
    return np.searchsorted(path.start_us, target), target
