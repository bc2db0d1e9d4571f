"""What is backtested: the stored signals, and the rivals beside them. Pure."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from training.backtest import (
    Backtest,
    Orders,
    Rules,
    backtest,
    momentum,
    n_unfilled,
    sides,
    until_sessions,
)
from training.traded import Traded

SIGNALS = "signals"


def strategies(told: Traded, rules: Rules) -> dict[str, Backtest]:
    """The signals first; then to hold every symbol, and each on the side of its day before."""
    none = Orders(*(np.zeros(0, dtype=np.int64) for _ in range(3)))
    orders = {symbol: told.orders.get(symbol, none) for symbol in told.prices}
    if told.sessions is not None:
        orders = {
            symbol: until_sessions(told.prices[symbol], each, told.sessions, rules.latency_us)
            for symbol, each in orders.items()
        }
    held = {s: sides(each, orders[s], rules.latency_us) for s, each in told.prices.items()}
    gone = sum(n_unfilled(each, orders[s], rules.latency_us) for s, each in told.prices.items())
    hold = {s: np.append(np.ones(len(each.worth), dtype=np.int64), 0)
            for s, each in told.prices.items()}  # fmt: skip
    yesterday = {s: momentum(each) for s, each in told.prices.items()}
    return {
        SIGNALS: backtest(told.prices, held, rules, gone + told.without_price),
        "hold all": backtest(told.prices, hold, rules),
        "momentum": backtest(told.prices, yesterday, rules),
    }


def facts_of(told: Traded, found: Mapping[str, Backtest], n_tries: int) -> dict[str, float | None]:
    """Of the signals what is not a return; the break-even cost is earnings over value traded."""
    one = found[SIGNALS]
    n, traded = len(one.trades), float(one.turnover.sum())
    held_s = [(trade.exit_us - trade.entry_us) / 1e6 for trade in one.trades]
    return {
        "symbols": len(told.prices),
        "days": len(one.day_us),
        "actionable signals": sum(len(each.side) for each in told.orders.values())
        + told.without_price,
        "not tradable in time": one.unfilled,
        "trades": n,
        "won before costs": sum(trade.earned > 0 for trade in one.trades) / n if n else None,
        "mean time held, s": sum(held_s) / n if n else None,
        "mean share of capital at work": one.exposure,
        "traded a day, share of capital": traded / max(1, len(one.day_us)),
        "break-even cost a side, bp": 1e4 * float(one.earned.sum()) / traded if traded else None,
        "strategies tried": n_tries,
    }
