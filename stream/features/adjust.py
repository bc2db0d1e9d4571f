"""Adjustment of past prices and volumes for splits and dividends known at the cut.

Where two neighbouring bars both carry the provider's adjusted close, the ratio of their adjusted
closes is the return between them. Only such ratios are ever used: a later dividend scales all
earlier adjusted closes alike, so a ratio of two of them tells nothing about it, and a level would.
Everywhere else the factors come from corporate actions with ex_at <= cut:

    split, `ratio` new shares per old     price / ratio, volume * ratio
    dividend, `amount` per share          price * (1 - amount / last close before ex_at),
                                          ignored where that would not be positive
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from stream.features.panes import Pane


class Action(Struct, array_like=True, frozen=True, order=True):
    """A split or dividend. Panes that end at or before `ex_at` come before it."""

    ex_at: int
    kind: Literal["dividend", "split"]
    value: float


def factors(panes: Sequence[Pane], actions: Sequence[Action]) -> list[tuple[float, float]]:
    """(price factor, volume factor) of each pane; `actions` sorted, all with ex_at <= cut.

    The newest pane after all actions has (1.0, 1.0). If every pane carries an adjusted close the
    price factor is adj_close / close of the pane itself: the same up to one common scale.
    """
    all_adjusted = all(pane.adj_close is not None for pane in panes)
    out: list[tuple[float, float]] = []
    price = volume = 1.0
    left = len(actions)
    after: Pane | None = None
    for pane in reversed(panes):
        step = 1.0
        while left and actions[left - 1].ex_at >= pane.end:
            left -= 1
            action = actions[left]
            if action.kind == "split":
                step /= action.value
                volume *= action.value
            elif action.value < pane.close:
                step *= 1.0 - action.value / pane.close
        if after is not None and after.adj_close is not None and pane.adj_close is not None:
            step = (pane.adj_close / pane.close) / (after.adj_close / after.close)
        price *= step
        own = pane.adj_close / pane.close if all_adjusted and pane.adj_close is not None else price
        out.append((own, volume))
        after = pane
    out.reverse()
    return out
