"""A backtest as one HTML page."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np
import plotly.graph_objects as go

from stream.events import moment
from training.backtest import Backtest
from training.page import figure, heading, page, table
from training.performance import HEAD, lines

NOTES = (
    "A position is as many shares as its share of the first capital buys: returns add up, they "
    "do not compound.",
    "Only symbols with stored prices are traded: what was delisted before the history was "
    "loaded is missing, and its losses with it.",
    "A signal is traded at the price of the next whole pane; the market is taken to bear it.",
)


def html_report(
    title: str,
    found: Mapping[str, Backtest],
    facts: Sequence[tuple[str, str]],
    costs_bps: Sequence[float],
    cost_bps: float,
    n_tries: int,
) -> str:
    """The page; the first of `found` is the strategy, the others are its rivals."""
    strategy = next(iter(found.values()))
    return page(
        title,
        [
            table(HEAD, lines(found, costs_bps, n_tries)),
            table(("", ""), facts),
            "<ul>" + "".join(f"<li>{note}</li>" for note in NOTES) + "</ul>",
            _equity(found, cost_bps),
            _drawdown(strategy, cost_bps),
            heading("By symbol"),
            table(("symbol", "trades", "won", "earned a trade"), _by_symbol(strategy, cost_bps)),
        ],
    )


def _equity(found: Mapping[str, Backtest], cost_bps: float) -> str:
    drawn = go.Figure()
    for name, one in found.items():
        drawn.add_scatter(
            x=_dates(one), y=np.cumsum(one.net(cost_bps / 1e4)), mode="lines", name=name
        )
    strategy = next(iter(found))
    one = found[strategy]
    drawn.add_scatter(
        x=_dates(one), y=np.cumsum(one.earned), mode="lines",
        name=f"{strategy}, free of cost", line={"dash": "dot"},
    )  # fmt: skip
    return figure(drawn, f"Summed returns at {cost_bps:g} bp a side", "", "share of the capital")


def _drawdown(one: Backtest, cost_bps: float) -> str:
    summed = np.cumsum(one.net(cost_bps / 1e4))
    under = summed - np.maximum.accumulate(np.maximum(summed, 0.0))
    drawn = go.Figure(go.Scatter(x=_dates(one), y=under, fill="tozeroy", name="below the peak"))
    return figure(drawn, "Below the highest point so far", "", "share of the capital")


def _dates(one: Backtest) -> list[date]:
    return [moment(int(us)).date() for us in one.day_us]


def _by_symbol(one: Backtest, cost_bps: float) -> list[tuple[str, ...]]:
    earned = defaultdict(list)
    for trade in one.trades:
        earned[trade.symbol].append(trade.earned - 2 * cost_bps / 1e4)
    return [
        (symbol, f"{len(each):,}", f"{np.mean(np.array(each) > 0):.1%}",
         f"{1e4 * np.mean(each):.2f} bp")
        for symbol, each in sorted(earned.items())
    ]  # fmt: skip
