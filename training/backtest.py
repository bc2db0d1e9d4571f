"""What stored signals would have earned, traded as they were known. Pure.

    signal as_of     first pane from as_of + latency on         first pane from valid_until on
    --|--------------[=== bought at its price ===]---- ... -----[=== sold at its price ===]

Every symbol has the same share of the gross limit, used or not; a position is as many shares as
that buys at its entry. An actionable signal sets the side of its symbol until it is no longer
valid, or until the next one does. What is held when prices end is sold at the last one.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from stream.features.panes import DAY_US
from training.labels import Floats, Ints

YEAR_US = 365 * DAY_US
_ROUNDING = 1e-12


class Prices(NamedTuple):
    """Panes of one symbol in time order, n of them, n >= 2.

    price : at which each can be traded. worth : (n - 1,) what a unit of money held from one pane's
    price to the next one's is worth then, through splits and dividends.
    """

    start_us: Ints
    price: Floats
    worth: Floats


class Orders(NamedTuple):
    """Actionable signals of one symbol by as_of, each until it is over. side: 1 long, -1 short."""

    as_of_us: Ints
    until_us: Ints
    side: Ints


class Rules(NamedTuple):
    """gross: of all positions together, in units of the capital; borrow: of a short's value."""

    gross: float = 1.0
    latency_us: int = 0
    borrow_per_year: float = 0.005


class Trade(NamedTuple):
    """One stay on one side. earned: of the position's value, before costs."""

    symbol: str
    side: int
    entry_us: int
    exit_us: int
    earned: float


class Backtest(NamedTuple):
    """By UTC day, in shares of the capital: earned before costs, borrow paid, value traded."""

    day_us: Ints
    earned: Floats
    borrow: Floats
    turnover: Floats
    trades: tuple[Trade, ...]
    unfilled: int  # signals over before any pane in which they could be traded
    exposure: float  # mean share of the capital at work, of all pane time

    @property
    def days_a_year(self) -> int:
        """365 where weekends are traded, else 252."""
        return 365 if ((self.day_us // DAY_US + 3) % 7 >= 5).any() else 252

    def net(self, cost: float) -> Floats:
        """Each day's return after `cost`, a fraction of every side traded."""
        net: Floats = self.earned - self.borrow - cost * self.turnover
        return net


def sides(prices: Prices, orders: Orders, latency_us: int) -> Ints:
    """The side that each pane's price begins, 0 for none; the last pane's is always 0."""
    from_us = orders.as_of_us + latency_us
    newest = np.searchsorted(from_us, prices.start_us, side="right") - 1
    held = np.zeros(len(prices.start_us), dtype=np.int64)
    if len(from_us):
        valid = (newest >= 0) & (orders.until_us[newest] > prices.start_us)
        held[valid] = orders.side[newest[valid]]
    held[-1] = 0
    return held


def until_sessions(prices: Prices, orders: Orders, sessions: int, latency_us: int) -> Orders:
    """Orders that end so many panes after their entry, if they are not over before."""
    exits = np.searchsorted(prices.start_us, orders.as_of_us + latency_us) + sessions
    ends = np.append(prices.start_us, np.iinfo(np.int64).max)[np.minimum(exits, len(prices.price))]
    return orders._replace(until_us=np.minimum(orders.until_us, ends))


def momentum(prices: Prices) -> Ints:
    """The rival: each day on the side of the day before, from last price to last price."""
    _, first = np.unique(prices.start_us // DAY_US, return_index=True)
    grown = _grown(prices)
    n_of_day = np.diff(np.append(first, len(grown)))
    last = grown[first + n_of_day - 1]
    moved = np.diff(last, prepend=grown[0])
    before = np.where(np.abs(moved) > _ROUNDING * last, np.sign(moved), 0.0)
    held = np.repeat(np.concatenate(([0.0], before[:-1])), n_of_day).astype(np.int64)
    held[-1] = 0
    return held


def backtest(
    prices: Mapping[str, Prices],
    held: Mapping[str, Ints],
    rules: Rules,
    unfilled: int = 0,
) -> Backtest:
    """Hold each symbol on its side, pane by pane; symbols without a side count as idle capital."""
    days = np.unique(np.concatenate([each.start_us // DAY_US for each in prices.values()]))
    earned, borrow, turnover = (np.zeros(len(days)) for _ in range(3))
    share = rules.gross / len(prices)
    trades: list[Trade] = []
    at_work = total = 0.0
    for symbol, of_symbol in prices.items():
        side, lasts = held[symbol], np.diff(of_symbol.start_us)
        day = np.searchsorted(days, of_symbol.start_us // DAY_US)
        grown = _grown(of_symbol)
        for begin, end in _stays(side):
            worth = grown[begin : end + 1] / grown[begin]
            np.add.at(earned, day[begin + 1 : end + 1], share * side[begin] * np.diff(worth))
            turnover[day[begin]] += share
            turnover[day[end]] += share * worth[-1]
            if side[begin] < 0:
                lent = share * worth[:-1] * lasts[begin:end] * rules.borrow_per_year / YEAR_US
                np.add.at(borrow, day[begin + 1 : end + 1], lent)
            at = of_symbol.start_us
            gain = float(side[begin] * (worth[-1] - 1.0))
            trades.append(Trade(symbol, int(side[begin]), int(at[begin]), int(at[end]), gain))
        at_work += float(lasts @ np.abs(side[:-1])) * share
        total += float(lasts.sum()) / len(prices)
    return Backtest(
        days * DAY_US, earned, borrow, turnover, tuple(trades), unfilled, at_work / max(total, 1.0)
    )


def n_unfilled(prices: Prices, orders: Orders, latency_us: int) -> int:
    """Signals that were over when the next pane began; the last pane only sells."""
    at = np.searchsorted(prices.start_us[:-1], orders.as_of_us + latency_us)
    there = at < len(prices.start_us) - 1
    begins = prices.start_us[np.minimum(at, len(prices.start_us) - 2)]
    return int((~there | (begins >= orders.until_us)).sum())


def _stays(side: Ints) -> list[tuple[int, int]]:
    """Runs of panes on one side: the first, and the one whose price ends it."""
    changes = np.flatnonzero(np.diff(side, prepend=0)).tolist()
    return [(begin, end) for begin, end in pairwise(changes) if side[begin]]


def _grown(prices: Prices) -> Floats:
    """What a unit of money in the first pane is worth in each."""
    return np.concatenate(([1.0], np.cumprod(prices.worth)))
