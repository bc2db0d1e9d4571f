"""At what a symbol could be traded, and when: the prices that labels are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from stream.features.adjust import Action
from stream.features.panes import Pane
from training.label_rules import LabelRule

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

NEVER = np.iinfo(np.int64).max // 2  # far off, and still nothing overflows that is added to it


class Sessions(NamedTuple):
    """Sessions of one calendar in time order; microseconds, NEVER for a close not yet stated.

    ends : when trading next stops, for each session: its close, where that is not the next one's
        open, as it is round the clock.
    """

    opens: Ints
    closes: Ints
    ends: Ints

    def at(self, us: Ints) -> Ints:
        """The session that each moment lies in; -1 for a moment outside."""
        index = np.searchsorted(self.opens, us, side="right") - 1
        found: Ints = np.where((index >= 0) & (us < self.closes[index]), index, -1)
        return found


class Tape(NamedTuple):
    """One symbol's closed panes in time order, and what else its returns hang on.

    mids : of each pane, the mean mid of the quotes that came with its trades, NaN where none did;
        empty where none ever did.
    sessions : None where no clock stated any: then a horizon is plain time.
    """

    panes: Sequence[Pane] = ()
    actions: Iterable[Action] = ()
    mids: Sequence[float] = ()
    sessions: Sessions | None = None


class PricePath(NamedTuple):
    """One price a pane, in time order.

    at_us : when it was had: the pane's end, or its start where that is the open.
    price : comparable from pane to pane: through splits, dividends invested again.
    sessions : where they are known, each pane lies inside one.
    """

    start_us: Ints
    end_us: Ints
    at_us: Ints
    price: Floats
    sessions: Sessions | None


def price_path(tape: Tape, rule: LabelRule) -> PricePath:
    """The prices that the rule trades at.

    A pane's `vwap` is the mid where quotes came, which trades bounce round. Actions count unless
    every pane carries an adjusted close.
    """
    panes = tape.panes
    starts = np.array([pane.start for pane in panes], dtype=np.int64)
    ends = np.array([pane.end for pane in panes], dtype=np.int64)
    price = np.array([_price(pane, rule) for pane in panes], dtype=np.float64)
    sessions = tape.sessions if rule.price == "vwap" else None
    if rule.price == "vwap" and len(tape.mids):
        mids = np.asarray(tape.mids, dtype=np.float64)
        price = np.where(np.isnan(mids), price, mids)
    ratios = [pane.adj_close / pane.close for pane in panes if pane.adj_close is not None]
    if len(ratios) == len(panes):
        price *= np.array(ratios, dtype=np.float64)
    if sessions is not None:
        at = sessions.at(starts)
        inside = (at >= 0) & (ends <= sessions.closes[at])
        starts, ends, price = starts[inside], ends[inside], price[inside]
    if len(ratios) < len(panes):
        held = held_worth(price[1:], ends[:-1], ends[1:], tape.actions)
        price[1:] *= np.cumprod(held / price[1:])
    return PricePath(starts, ends, starts if rule.price == "open" else ends, price, sessions)


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


def _price(pane: Pane, rule: LabelRule) -> float:
    if rule.price == "open":
        return pane.open
    if rule.price == "vwap" and pane.volume > 0.0:
        return pane.notional / pane.volume
    return pane.close
