"""The verb that compares training rows with what was served."""

from __future__ import annotations

import json
from datetime import datetime
from math import isfinite
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from stream.cli.progress import step_progress
from stream.cli.run import JsonFlag
from stream.cli.times import utc_span
from stream.settings import read_settings

if TYPE_CHECKING:
    from training.served import Comparison

MOST_SHOWN = 20


def served(
    since: Annotated[datetime | None, typer.Option(help="First as_of to compare, UTC.")] = None,
    until: Annotated[datetime | None, typer.Option(help="as_of to stop before, UTC.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Compare training rows with the vectors served for the same moments; exit code 1 on a FAIL.

    Rows are joined by symbol, trigger, its reference and revision. Over 0.1 % of them different,
    or none to compare, is a FAIL. Without TAPEWIRE_DATABASE it looks at the last demo.

    Example: tapewire served --since 2024-03-01 --json
    """
    from stream.cli.last_demo import stored_database
    from training.history import open_history
    from training.served import compare_stored

    span = utc_span(since, until)
    with (
        stored_database(read_settings()) as (dsn, schema),
        open_history(dsn, schema) as history,
        step_progress("served") as progress,
    ):
        total = max(1, history.n_events())
        found = compare_stored(
            history,
            *span,
            lambda n: progress(f"replaying {n:,} of {total:,} events", min(1.0, n / total)),
        )
    if as_json:
        told = msgspec.to_builtins(found) | {"share": found.share, "says": found.says}
        print(json.dumps(told | {"features": [_finite(each) for each in told["features"]]}))
    else:
        _show(found)
    if found.says == "FAIL" or found.equal + found.different == 0:
        raise typer.Exit(1)


def _show(found: Comparison) -> None:
    table = Table("feature", "rows", "relative", "symbol", "as of", "trained on", "served")
    for each in found.features[:MOST_SHOWN]:
        values = (f"{value:.6g}" for value in (each.trained, each.served))
        table.add_row(
            each.feature, f"{each.n:,}", f"{each.relative:.3g}", each.symbol, each.as_of, *values
        )
    console = Console()
    if found.features:
        console.print(table)
    console.print(
        f"{found.says}: {found.different:,} of {found.equal + found.different:,} compared rows "
        f"differ ({found.share:.3%}); {found.never_served:,} trained on and never served, "
        f"{found.never_trained:,} served and never trained on, {found.foreign:,} with scores of "
        f"another sentiment model, {found.pending:,} not all stored yet",
        markup=False,
        highlight=False,
    )


def _finite(row: dict[str, Any]) -> dict[str, Any]:
    """JSON has no NaN and no infinity: None."""
    return {
        name: None if isinstance(value, float) and not isfinite(value) else value
        for name, value in row.items()
    }
