"""The verb that trades stored signals on stored prices."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from stream.cli.extras import needs
from stream.cli.files import ReportOption
from stream.cli.run import JsonFlag
from stream.cli.times import utc_span
from stream.settings import read_settings

if TYPE_CHECKING:
    from training.backtest import Backtest


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
    from stream.cli.last_demo import stored_database
    from training.backtest import Rules
    from training.costs import COSTS_BPS
    from training.history import open_history
    from training.performance import by_strategy
    from training.stored_facts import count_models
    from training.strategies import facts_of, strategies
    from training.traded import traded

    if report is not None:
        with needs("backtest --report", "train"):
            from training.backtest_report import html_report
    span = utc_span(since, until)
    rules = Rules(gross, round(latency_s * 1e6), borrow_bps / 1e4)
    with stored_database(read_settings()) as (dsn, schema):
        with open_history(dsn, schema) as history:
            told = traded(history.connection, history.tape, *span)
            n_tries = tries or max(1, count_models(history))
    found = strategies(told, rules)
    facts = facts_of(told, found, n_tries)
    costs = sorted({*COSTS_BPS, cost_bps})
    if report is not None:
        shown = [(name, _text(value)) for name, value in facts.items()]
        page = html_report(f"Backtest of {schema}", found, shown, costs, cost_bps, n_tries)
        report.write_text(page, "utf-8")
    if as_json:
        by_cost = by_strategy(found, costs, n_tries)
        print(json.dumps({**facts, "strategies": {
            name: {f"{bps:g}": msgspec.to_builtins(got) for bps, got in each.items()}
            for name, each in by_cost.items()
        }}))  # fmt: skip
        return
    _show(found, facts, costs, n_tries)


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
