"""A pane: the mergeable partials of one symbol's trades in one interval [start, end).

A trade exactly on a boundary belongs to the pane that starts there. Inside a pane, open, close,
signs and squared returns follow the order in which trades were applied: the order of the tape.
"""

from __future__ import annotations

from math import log
from typing import Self

from msgspec import Struct
from msgspec.structs import replace

MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US
MAX_GAP_US = 30 * MINUTE_US  # panes of trades further apart are not neighbours: no return, no sign


class Pane(Struct, array_like=True):
    """One interval of one symbol. Times in microseconds since 1970, prices as traded.

    signed_volume : volume of upticks minus volume of downticks (tick rule).
    lead_volume : volume before the first price change inside; `resolve` gives it a sign.
    last_sign : -1, 0, 1, the sign of the last price change (0: none seen).
    sum_r2 : squared log returns between trades inside.
    n_trades : 0 where a bar does not say.
    last_at : time of the newest trade; of a bar, its end.
    """

    start: int
    end: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    notional: float
    n_trades: int
    n_regular: int = 0
    signed_volume: float = 0.0
    lead_volume: float = 0.0
    last_sign: int = 0
    sum_r2: float = 0.0
    sum_spread: float = 0.0  # of (ask - bid) / mid over trades with a quote
    n_quotes: int = 0
    last_at: int = 0
    adj_close: float | None = None

    @classmethod
    def of_interval(cls, start: int, end: int, price: float) -> Self:
        """An empty pane whose first trade will be at `price`."""
        return cls(start, end, price, price, price, price, 0.0, 0.0, 0)

    def add(
        self,
        ts: int,
        price: float,
        size: float,
        bid: float | None,
        ask: float | None,
        regular: bool,
    ) -> None:
        """Add one trade with start <= ts < end."""
        before = self.close
        if price != before:
            self.last_sign = 1 if price > before else -1
            self.sum_r2 += log(price / before) ** 2
            self.close = price
            if price > self.high:
                self.high = price
            elif price < self.low:
                self.low = price
        if self.last_sign == 0:
            self.lead_volume += size
        elif self.last_sign > 0:
            self.signed_volume += size
        else:
            self.signed_volume -= size
        self.volume += size
        self.notional += price * size
        self.n_trades += 1
        if regular:
            self.n_regular += 1
        if ts > self.last_at:
            self.last_at = ts
        if bid is not None and ask is not None:
            self.sum_spread += 2.0 * (ask - bid) / (ask + bid)
            self.n_quotes += 1


def of_bar(
    start: int,
    end: int,
    open: float,
    high: float,
    low: float,
    close: float,
    volume: float,
    adj_close: float | None = None,
    vwap: float | None = None,
    n_trades: int | None = None,
) -> Pane:
    """The pane of a bar. Its volume is signed as one trade: by close - open, else by `resolve`.

    Without a vwap, notional takes the typical price (high + low + close) / 3.
    """
    typical = (high + low + close) / 3.0 if vwap is None else vwap
    sign = (close > open) - (close < open)
    return Pane(
        start=start,
        end=end,
        open=open,
        high=high,
        low=low,
        close=close,
        volume=volume,
        notional=typical * volume,
        n_trades=n_trades or 0,
        n_regular=n_trades or 0,
        signed_volume=sign * volume,
        lead_volume=0.0 if sign else volume,
        last_sign=sign,
        sum_r2=log(close / open) ** 2,
        last_at=end,
        adj_close=adj_close,
    )


def resolved(pane: Pane, before: Pane | None) -> Pane:
    """The pane with its lead volume signed by the neighbour before it (None: left out).

    The sign is that of open - before.close, else the neighbour's own last sign. It reaches back
    through one unchanged pane and no further, so that no value depends on far history.
    """
    if pane.lead_volume == 0.0 and pane.last_sign != 0:
        return pane
    step = inherited = 0
    if before is not None:
        step = (pane.open > before.close) - (pane.open < before.close)
        inherited = step or before.last_sign
    return replace(
        pane,
        signed_volume=pane.signed_volume + inherited * pane.lead_volume,
        lead_volume=0.0,
        last_sign=pane.last_sign or step,
    )


def merged(first: Pane | None, second: Pane) -> Pane:
    """One pane over two that follow each other in time; signs must be resolved already."""
    if first is None:
        return replace(second)
    return Pane(
        first.start,
        second.end,
        first.open,
        max(first.high, second.high),
        min(first.low, second.low),
        second.close,
        first.volume + second.volume,
        first.notional + second.notional,
        first.n_trades + second.n_trades,
        first.n_regular + second.n_regular,
        first.signed_volume + second.signed_volume,
        first.lead_volume + second.lead_volume,
        second.last_sign,
        first.sum_r2 + second.sum_r2,
        first.sum_spread + second.sum_spread,
        first.n_quotes + second.n_quotes,
        max(first.last_at, second.last_at),
        second.adj_close,
    )
