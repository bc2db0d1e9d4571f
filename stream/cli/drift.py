"""The verb that looks for drift."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import psycopg
import typer
from rich.console import Console
from rich.table import Table

from stream.cli.extras import needs
from stream.cli.files import in_a_folder
from stream.cli.last_demo import stored
from stream.cli.models import registry_of
from stream.cli.run import JsonFlag
from stream.cli.times import utc_micros
from stream.database import explained
from stream.errors import Refused
from stream.settings import Settings, read_settings

if TYPE_CHECKING:
    from models.artifact import Artifact
    from training.watch import Drift


def drift(
    since: Annotated[
        datetime | None, typer.Option(help="First whole day to judge, UTC; default: 5 days.")
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(help="Page to write.", dir_okay=False, writable=True, callback=in_a_folder),
    ] = None,
    if_any: Annotated[
        bool, typer.Option("--if-any", help="Without a champion: exit code 0, not 2.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Judge the last days against what the champion was trained on; exit code 1 on a FAIL.

    Features and scores by PSI against bands of whole days, shares without a value, calibration and
    log-loss of what matured (`tapewire outcomes`). The report is kept in the table drift_reports.

    Example: tapewire drift --since 2024-03-01 --html drift.html
    """
    from training.watch import store, watch

    if html is not None:
        with needs("drift --html", "train"):
            from training.drift_report import html_report
    with stored(read_settings()) as settings:
        artifact = _champion(settings)
        if artifact is None:
            none = Refused(
                f"schema {settings.namespace}: expected a champion, found none; the rules model "
                "was trained on nothing that one could move away from; "
                "tapewire models promote VERSION"
            )
            if not if_any:
                raise none
            print(json.dumps({"says": None}) if as_json else none)
            return
        dsn, schema = settings.database.get_secret_value(), settings.namespace
        try:
            with psycopg.connect(dsn, options=f"-c search_path={schema},public") as connection:
                found = watch(connection, artifact, utc_micros(since))
                store(connection, found)
        except psycopg.errors.UndefinedTable:
            raise Refused(f"schema {schema}: expected its tables; run tapewire migrate") from None
        except psycopg.OperationalError as error:
            raise explained(error) from None
    if html is not None:
        html.write_text(html_report(found), "utf-8")
    print(msgspec.json.encode(found).decode()) if as_json else _show(found)
    if found.says == "FAIL":
        raise typer.Exit(1)


def _champion(settings: Settings) -> Artifact | None:
    with registry_of(settings) as registry:
        version, _ = registry.current("champion")
        return None if version is None else registry.load(version)


def _show(found: Drift) -> None:
    from training.drift import HEAD

    told = [each for each in found.findings if each.says != "PASS"]
    console = Console()
    if told:
        table = Table(*HEAD)
        for each in told:
            table.add_row(*each.told())
        console.print(table)
    console.print(
        f"{found.says}: {len(told)} of {len(found.findings)} findings stand out; {found.rows:,} "
        f"signals of {found.days} days from {found.since} on beside {found.reference_days} days "
        f"of reference{'' if found.band else ' (too few for a band: no FAIL)'}, "
        f"{found.matured:,} matured",
        markup=False,
        highlight=False,
    )
