"""The verb that trades stored signals on stored prices."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from stream.cli.extras import needs
from stream.cli.files import ReportOption
from stream.cli.run import JsonFlag
from stream.cli.times import utc_micros
from stream.settings import read_settings

if TYPE_CHECKING:
    from training.backtest import Backtest, Rules
    from training.traded import Traded

_COSTS_BPS = (0.0, 2.0, 5.0, 10.0)
_STRATEGY = "signals"


def backtest(
    since: Annotated[datetime | None, typer.Option(help="First as_of, UTC.")] = None,
    until: Annotated[datetime | None, typer.Option(help="as_of to stop before, UTC.")] = None,
    cost_bps: Annotated[float, typer.Option(min=0.0, help="Of each side of a trade.")] = 5.0,
    borrow_bps: Annotated[float, typer.Option(min=0.0, help="Of a short's value, a year.")] = 50.0,
    latency_s: Annotated[float, typer.Option(min=0, max=86_400, help="Of an order.")] = 1.0,
    gross: Annotated[float, typer.Option(min=0.01, help="Limit, in units of capital.")] = 1.0,
    tries: Annotated[
        int | None,
        typer.Option(min=1, max=1_000_000, help="Strategies tried; default: models stored."),
    ] = None,
    report: ReportOption = None,
    as_json: JsonFlag = False,
) -> None:
    """What the actionable signals would have earned, as they were known, after costs.

    Beside them: to hold every symbol, and each on the side of its day before. Without
    TAPEWIRE_DATABASE it trades the last demo.

    Example: tapewire backtest --since 2024-03-01 --cost-bps 2 --report backtest.html
    """
    from stream.cli.demo import last_demo_database
    from training.backtest import Rules
    from training.history import open_history

    if report is not None:
        with needs("backtest --report", "train"):
            from training.backtest_report import html_report
    rules = Rules(gross, round(latency_s * 1e6), borrow_bps / 1e4)
    with last_demo_database(read_settings()) as (dsn, schema):
        with open_history(dsn, schema) as history:
            told = history.traded(utc_micros(since), utc_micros(until))
            n_tries = tries or max(1, history.n_models())
    found = _strategies(told, rules)
    facts = _facts(found[_STRATEGY], told, n_tries)
    costs = sorted({*_COSTS_BPS, cost_bps})
    if report is not None:
        shown = [(name, _text(value)) for name, value in facts.items()]
        page = html_report(f"Backtest of {schema}", found, shown, costs, cost_bps, n_tries)
        report.write_text(page, "utf-8")
    if as_json:
        print(json.dumps({**facts, "strategies": _figures(found, costs, n_tries)}))
        return
    _show(found, facts, costs, n_tries)


def _strategies(told: Traded, rules: Rules) -> dict[str, Backtest]:
    import numpy as np

    from training.backtest import Orders, backtest, momentum, n_unfilled, sides, until_sessions

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
        _STRATEGY: backtest(told.prices, held, rules, gone + told.without_price),
        "hold all": backtest(told.prices, hold, rules),
        "momentum": backtest(told.prices, yesterday, rules),
    }


def _facts(one: Backtest, told: Traded, n_tries: int) -> dict[str, float | None]:
    """What is not a return; a break-even cost is what the trades earned over what they traded."""
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


def _figures(found: dict[str, Backtest], costs: list[float], n_tries: int) -> dict[str, Any]:
    from training.performance import performance

    return {
        name: {
            f"{bps:g}": msgspec.to_builtins(
                performance(
                    one.net(bps / 1e4), n_tries if name == _STRATEGY else 1, one.days_a_year
                )
            )
            for bps in costs
        }
        for name, one in found.items()
    }


def _show(
    found: dict[str, Backtest], facts: dict[str, float | None], costs: list[float], n_tries: int
) -> None:
    from training.performance import HEAD, lines

    table = Table(*HEAD)
    for row in lines(found, costs, n_tries):
        table.add_row(*row)
    console = Console()
    console.print(table)
    for name, value in facts.items():
        console.print(f"{name}: {_text(value)}", markup=False, highlight=False)


def _text(value: float | None) -> str:
    if value is None:
        return "none"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"
