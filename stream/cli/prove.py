"""`tapewire verify`: the proof that what was said live is what the recorded inputs give."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from stream.cli.progress import step_progress
from stream.cli.run import JsonFlag
from stream.errors import Refused
from stream.events import micros
from stream.settings import Settings, read_settings

EXIT_NOT_EQUAL = 1
KINDS = ("equal", "different", "missing", "extra", "pending")


def verify(
    since: Annotated[datetime | None, typer.Option(help="First as_of to compare, UTC.")] = None,
    until: Annotated[datetime | None, typer.Option(help="as_of to stop before, UTC.")] = None,
    symbol: Annotated[str | None, typer.Option(help="Compare one symbol's signals.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Make every stored signal again from its recorded inputs; exit code 0 only if all are equal.

    Without TAPEWIRE_DATABASE it verifies the last demo.

    Example: tapewire verify --symbol AAPL
    """
    from training.verify import Chosen

    chosen = Chosen(_micros(since), _micros(until), symbol)
    report = verify_stored(read_settings(), chosen)
    print(json.dumps(report)) if as_json else _show(report)
    if not report["proven"]:
        raise typer.Exit(EXIT_NOT_EQUAL)


def verify_stored(settings: Settings, chosen: Any) -> dict[str, Any]:
    """The report as plain values."""
    from models.artifact import ArtifactError
    from models.registry import Registry
    from models.scorer import ArtifactScorer, Scorer
    from stream.cli.demo import last_demo_database
    from training.history import open_history
    from training.verify import verify

    with last_demo_database(settings) as (dsn, schema), step_progress("verify") as progress:
        registry = Registry(dsn, schema)

        def load(version: str) -> Scorer:
            try:
                return ArtifactScorer(registry.load(version))
            except ArtifactError as error:
                raise Refused(f"model {version}: {error}") from error

        with open_history(dsn, schema) as history:
            n = max(1, history.n_events())
            found = verify(
                history, load, chosen, progress=lambda done: progress("replaying", done / n)
            )
    return {
        "proven": found.proven,
        **{kind: found.counts[kind] for kind in KINDS},
        "inputs": found.inputs,
        "accounts": msgspec.to_builtins(found.accounts),
        "differences": msgspec.to_builtins(found.differences),
    }


def _micros(at: datetime | None) -> int | None:
    return None if at is None else micros(at.replace(tzinfo=at.tzinfo or UTC))


def _show(report: dict[str, Any]) -> None:
    table = Table(title="live = replay" if report["proven"] else "live is NOT replay")
    for column in ("signals", "count"):
        table.add_column(column)
    for kind in KINDS:
        table.add_row(kind, f"{report[kind]:,}")
    table.add_row("inputs replayed", f"{report['inputs']:,}")
    inputs = Table(title="where the inputs went")
    for column in ("topic", "partition", "read", "stored", "dead", "late", "unaccounted"):
        inputs.add_column(column)
    for account in report["accounts"]:
        inputs.add_row(
            *(f"{value:,}" if type(value) is int else value for value in account.values())
        )
    console = Console()
    console.print(table)
    console.print(inputs)
    for each in report["differences"]:
        console.print(
            f"{each['symbol']} {each['signal_id']} {each['field']}: "
            f"stored {each['stored']}, replayed {each['replayed']}",
            markup=False,
        )
