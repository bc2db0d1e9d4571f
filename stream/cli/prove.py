"""`tapewire verify`: the proof that what was said live is what the recorded inputs give."""

from __future__ import annotations

import json
from datetime import datetime
from functools import partial
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from stream.cli.progress import step_progress
from stream.cli.run import JsonFlag
from stream.cli.times import utc_span
from stream.errors import Refused, Unavailable
from stream.settings import Settings, read_settings

EXIT_NOT_EQUAL = 1
EXIT_OTHER_BUILD = 4
MOMENTS = 400  # that --lookahead aims at
MOST_SHOWN = 20
KINDS = ("equal", "different", "missing", "extra", "other build", "pending")


def verify(
    since: Annotated[datetime | None, typer.Option(help="First as_of to compare, UTC.")] = None,
    until: Annotated[datetime | None, typer.Option(help="as_of to stop before, UTC.")] = None,
    symbol: Annotated[str | None, typer.Option(help="Compare one symbol's signals.")] = None,
    lookahead: Annotated[
        bool, typer.Option(help="Instead: does any feature read what came after its cut?")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the moments that --lookahead probes.")] = 0,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes to replay in; default: what pays off.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Make every stored signal again from its recorded inputs; exit code 0 only if all are equal.

    The market's panes, which signals read, are made again from the pane ends, too.

    Signals that another code revision or platform made, and that differ here, are named as such:
    exit code 4.

    Without TAPEWIRE_DATABASE it verifies the last demo.

    Example: tapewire verify --symbol AAPL
    """
    from training.proof import Chosen

    if lookahead:
        if since or until or symbol or jobs:
            raise Refused("--lookahead: expected no --since, --until, --symbol or --jobs beside it")
        report = look_ahead_stored(read_settings(), seed)
        show = _show_look_ahead
    else:
        chosen = Chosen(*utc_span(since, until), symbol)
        report = verify_stored(read_settings(), chosen, jobs)
        show = _show
    print(json.dumps(report)) if as_json else show(report)
    if not report["proven"]:
        raise typer.Exit(EXIT_NOT_EQUAL if report["wrong"] else EXIT_OTHER_BUILD)


def look_ahead_stored(settings: Settings, seed: int) -> dict[str, Any]:
    """Which features of the stored policies moved with what came after a sample of moments."""
    from stream.cli.last_demo import stored_database
    from stream.scoring.policy import Policy
    from training.history import open_history
    from training.lookahead import look_ahead
    from training.stored_facts import count_panes
    from training.stored_signals import policies

    moments, moved = 0, []
    with (
        stored_database(settings) as (dsn, schema),
        open_history(dsn, schema) as history,
        step_progress("look-ahead") as progress,
    ):
        n, n_panes = max(1, history.n_events()), max(1, count_panes(history))
        for policy in policies(history.connection).values():
            found = look_ahead(
                history.partitions(),
                msgspec.convert(policy, Policy),
                seed=seed,
                share=MOMENTS / n_panes,
                applied=lambda done: progress("probing", done / n),
            )
            moments += found.moments
            moved += found.moved
    return {
        "proven": moments > 0 and not moved,
        "wrong": moments == 0 or bool(moved),
        "moments": moments,
        "features": sorted({each.feature for each in moved}),
        "moved": msgspec.to_builtins(moved[:MOST_SHOWN]),
    }


def verify_stored(settings: Settings, chosen: Any, jobs: int | None = None) -> dict[str, Any]:
    """The report as plain values."""
    from stream.cli.last_demo import stored_database
    from training.history import open_history
    from training.verify import verify

    with stored_database(settings) as (dsn, schema), step_progress("verify") as progress:
        with open_history(dsn, schema) as history:
            found = verify(history, chosen, jobs=jobs, progress=partial(progress, "replaying"))
            away = _ask_broker(settings, history, found) if _has_broker(settings) else None
    return {
        "proven": found.proven,
        "wrong": found.wrong,
        **{kind: found.counts[kind] for kind in KINDS},
        "market": {kind: found.market[kind] for kind in KINDS},
        "inputs": found.inputs,
        "accounts": msgspec.to_builtins(found.accounts),
        "roles": msgspec.to_builtins(found.roles),
        "broker": away,
        "builds": found.builds,
        "differences": msgspec.to_builtins(found.differences),
    }


def _has_broker(settings: Settings) -> bool:
    """Whether the signals came over a broker that keeps what it had: not the last demo's."""
    return "database" in settings.model_fields_set and not settings.embedded


def _ask_broker(settings: Settings, history: Any, found: Any) -> str | None:
    """Add what only the broker knows; why that could not be, where it is away."""
    from training.accounting import kept, less_empty
    from training.consumption import consumed, without_record

    try:
        found.roles = consumed(settings, kept(history.connection))
        found.accounts = less_empty(
            history.connection, found.accounts, partial(without_record, settings)
        )
    except Unavailable as error:
        return str(error)
    return None


def _show(report: dict[str, Any]) -> None:
    made_elsewhere = "live was another build's" if not report["wrong"] else "live is NOT replay"
    table = Table(title="live = replay" if report["proven"] else made_elsewhere)
    for column in ("", "signals", "market panes"):
        table.add_column(column)
    for kind in KINDS:
        table.add_row(kind, f"{report[kind]:,}", f"{report['market'][kind]:,}")
    table.add_row("inputs replayed", f"{report['inputs']:,}", "")
    console = Console()
    console.print(table)
    _show_rows(console, "where the inputs went", report["accounts"])
    _show_rows(console, "what the roles counted", report["roles"])
    if report["broker"]:
        console.print(f"the roles' own counts were not read: {report['broker']}", markup=False)
    for build_id, how in report["builds"].items():
        console.print(f"signals of another build, {build_id}: {how}", markup=False)
    for each in report["differences"]:
        console.print(
            f"{each['symbol']} {each['signal_id']} {each['field']}: "
            f"stored {each['stored']}, replayed {each['replayed']}",
            markup=False,
        )


def _show_rows(console: Console, title: str, rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    table = Table(title=title)
    for column in rows[0]:
        table.add_column(column)
    for row in rows:
        table.add_row(*(f"{value:,}" if type(value) is int else value for value in row.values()))
    console.print(table)


def _show_look_ahead(report: dict[str, Any]) -> None:
    console = Console()
    features = ", ".join(report["features"])
    console.print(f"{report['moments']} moments probed; looking ahead: {features or 'none'}")
    for each in report["moved"]:
        console.print(
            f"{each['symbol']} {each['feature']} at {each['cut_us']} us: was {each['was']}, "
            f"{each['became']} after {each['after']}",
            markup=False,
        )
