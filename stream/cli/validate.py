"""The verb that judges a stored model again: validate."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from stream.cli.again import again
from stream.cli.extras import needs
from stream.cli.files import ReportOption
from stream.cli.last_demo import stored
from stream.cli.learn import AcceptOption, GatesOption, ModelRefused, gates_of
from stream.cli.progress import step_progress
from stream.cli.run import JsonFlag
from stream.cli.times import utc_span
from stream.settings import read_settings

if TYPE_CHECKING:
    from training.evidence import Evidence


def validate(
    version: Annotated[str, typer.Argument(help="As in models list.")],
    since: Annotated[
        datetime | None, typer.Option(help="First as_of, UTC; default: where its training ended.")
    ] = None,
    until: Annotated[datetime | None, typer.Option(help="as_of to stop before, UTC.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the bootstrap.")] = 0,
    gates: GatesOption = None,
    accept: AcceptOption = None,
    report: ReportOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Judge a stored model on history newer than its training; exit code 3 when a gate fails.

    Against climatology and the champion. The registry is left as it is.

    Example: tapewire validate 20260102T030405-1a2b3c4d --since 2026-02-01 --report again.html
    """
    from stream.scoring.configured import policy_of

    with needs("validate", "train"):
        from training.errors import TrainingRefused
        from training.validate import validate as judge

        if report is not None:
            from training.report import html_report

    since_us, until_us = utc_span(since, until)
    with stored(read_settings()) as settings:
        try:
            with step_progress("validate") as progress:
                evidence = judge(
                    settings.database.get_secret_value(),
                    settings.namespace,
                    version,
                    policy_of(settings),
                    since_us=since_us,
                    until_us=until_us,
                    seed=seed,
                    gates=gates_of(gates),
                    accepted=accept,
                    progress=progress,
                )
        except TrainingRefused as error:
            raise ModelRefused(str(error)) from error
        if report is not None:
            told = again(
                settings, "validate", version, since=since, until=until, seed=seed, gates=gates,
                accept_implausible=accept,
            )  # fmt: skip
            report.write_text(html_report(evidence, told), "utf-8")
    _show(evidence, as_json=as_json)
    if evidence.verdict.says == "FAIL":
        raise ModelRefused(f"model {version} fails: {evidence.verdict.reason}")


def _show(evidence: Evidence, *, as_json: bool) -> None:
    verdict = evidence.verdict
    if as_json:
        told = msgspec.to_builtins(verdict) | {
            "version": evidence.artifact.version,
            "metrics": dict(evidence.metrics),
        }
        print(json.dumps(told))
        return
    table = Table("gate", "says", "got", "expected", "")
    for check in verdict.checks:
        got = "none" if check.value is None else f"{check.value:.4g}"
        table.add_row(check.name, check.says, got, check.expected, check.note)
    console = Console()
    console.print(table)
    console.print(f"{evidence.artifact.version}: {verdict.says}", markup=False, highlight=False)
