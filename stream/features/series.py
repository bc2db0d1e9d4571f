"""Panes in time order as columns, adjusted for the actions known at the cut."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from math import log

from stream.features.adjust import Action, factors
from stream.features.panes import Pane

DUST = 1e-9  # turnover in a currency: a move per unit of less says nothing


class Series:
    """Columns over `panes`, one entry a pane, oldest first.

    opens, highs, lows, closes, volumes, signed, notionals are adjusted (see `adjust`); tick_r2 is
    the squared log returns inside; pane_r2 the squared log return from the neighbour's close
    (0 without one); impacts is that return's size per unit of raw turnover, in basis points per
    million.

    Parameters
    ----------
    max_gap_us : int or None
        Panes further apart (end to start) are not neighbours; None: always neighbours.
    """

    def __init__(self, max_gap_us: int | None) -> None:
        self.max_gap_us = max_gap_us
        self.panes: list[Pane] = []
        self.ends: list[int] = []
        self.opens: list[float] = []
        self.highs: list[float] = []
        self.lows: list[float] = []
        self.closes: list[float] = []
        self.volumes: list[float] = []
        self.notionals: list[float] = []
        self.trades: list[int] = []
        self.signed: list[float] = []
        self.tick_r2: list[float] = []
        self.pane_r2: list[float] = []
        self.impacts: list[float] = []
        self.impact_counts: list[int] = []
        self.spreads: list[float] = []
        self.quotes: list[int] = []
        self._lists: list[list[float]] = [
            column for column in vars(self).values() if isinstance(column, list)
        ][1:]  # all but `panes`
        self._actions: list[Action] = []  # known ones, sorted
        self._effective = 0  # how many of them the columns are adjusted for
        self._n_adjusted = 0  # panes that carry an adjusted close

    def __len__(self) -> int:
        return len(self.panes)

    def append(self, pane: Pane) -> None:
        """Add the newest pane; it must end after all others."""
        self.panes.append(pane)
        self._n_adjusted += pane.adj_close is not None
        if 0 < self._n_adjusted < len(self.panes):
            self._rebuild()
        elif not self._effective or self._actions[self._effective - 1].ex_at < pane.end:
            adjusted = pane.adj_close
            self._append(pane, 1.0 if adjusted is None else adjusted / pane.close, 1.0)
        else:
            self._rebuild()

    def pop(self) -> None:
        """Take the newest pane back out."""
        pane = self.panes.pop()
        mixed = 0 < self._n_adjusted < len(self.panes) + 1
        self._n_adjusted -= pane.adj_close is not None
        if mixed:
            self._rebuild()
            return
        for column in self._lists:
            column.pop()

    def drop_first(self, n: int) -> list[Pane]:
        """Drop and return the oldest `n` panes."""
        dropped = self.panes[:n]
        mixed = 0 < self._n_adjusted < len(self.panes)
        self._n_adjusted -= sum(pane.adj_close is not None for pane in dropped)
        del self.panes[:n]
        for column in self._lists:
            del column[:n]
        if mixed and n:
            self._rebuild()
        return dropped

    def know(self, actions: Iterable[Action]) -> None:
        """Take the known actions, those of the future included."""
        self._actions = sorted(actions)
        self._effective = 0
        self._rebuild()

    def adjust_for(self, cut: int) -> None:
        """Adjust the columns for the actions with ex_at <= cut."""
        if not self._actions:
            return
        effective = bisect_right(self._actions, cut, key=lambda action: action.ex_at)
        if effective != self._effective:
            self._effective = effective
            self._rebuild()

    def _rebuild(self) -> None:
        for column in self._lists:
            column.clear()
        panes = self.panes
        scales = factors(panes, self._actions[: self._effective])
        self.panes = []
        for pane, (price, volume) in zip(panes, scales, strict=True):
            self.panes.append(pane)
            self._append(pane, price, volume)

    def _append(self, pane: Pane, price: float, volume: float) -> None:
        close = pane.close * price
        r2 = impact = 0.0
        impact_count = 0
        if len(self.panes) > 1:
            before = self.panes[-2]
            if self.max_gap_us is None or pane.start - before.end <= self.max_gap_us:
                step = log(close / self.closes[-1])
                r2 = step * step
                if pane.notional >= DUST:
                    impact = abs(step) * 1e10 / pane.notional
                    impact_count = 1
        self.ends.append(pane.end)
        self.opens.append(pane.open * price)
        self.highs.append(pane.high * price)
        self.lows.append(pane.low * price)
        self.closes.append(close)
        self.volumes.append(pane.volume * volume)
        self.notionals.append(pane.notional * (price * volume))
        self.trades.append(pane.n_trades)
        self.signed.append(pane.signed_volume * volume)
        self.tick_r2.append(pane.sum_r2)
        self.pane_r2.append(r2)
        self.impacts.append(impact)
        self.impact_counts.append(impact_count)
        self.spreads.append(pane.sum_spread)
        self.quotes.append(pane.n_quotes)
