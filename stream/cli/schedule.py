"""The verb that runs jobs at set times."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stream import metrics
from stream.cli.process import log_to_stderr
from stream.cli.role import ROLES
from stream.errors import Refused
from stream.settings import Settings, read_settings

if TYPE_CHECKING:
    from apscheduler.triggers.cron import CronTrigger


def _cron(help: str) -> Any:
    return typer.Option(metavar="CRON", help=f"When to {help}.")


def schedule(
    retrain: Annotated[str | None, _cron("retrain")] = None,
    drift: Annotated[str | None, _cron("look for drift; a FAIL retrains")] = None,
    outcomes: Annotated[str | None, _cron("label matured signals")] = None,
    served: Annotated[str | None, _cron("compare training rows with served ones")] = None,
    compare: Annotated[str | None, _cron("compare the challenger with the champion")] = None,
    promote: Annotated[bool, typer.Option(help="Retrain with --promote.")] = False,
    auto_promote: Annotated[bool, typer.Option(help="Compare with --auto-promote.")] = False,
    cool_down: Annotated[
        float, typer.Option(min=0.0, help="Hours from one retrain to one that drift calls for.")
    ] = 24.0,
) -> None:
    """Run jobs at set times, until stopped: five cron fields, UTC, weekdays by name.

    Of several such processes one leads, by a lock of the database; another takes over when it dies.
    Each run is a child process and a row of the table job_runs.

    Example: tapewire schedule --outcomes "*/15 * * * *" --drift "0 22 * * mon-fri" --promote
    """
    times = {
        "retrain": retrain,
        "drift": drift,
        "outcomes": outcomes,
        "served": served,
        "compare": compare,
    }
    triggers = {job: _trigger(job, at) for job, at in times.items() if at is not None}
    if not triggers:
        raise Refused(f"expected one of --{', --'.join(times)}, got none")
    settings = read_settings()
    log_to_stderr(settings.log_level)
    more = {
        "retrain": ["--promote"] if promote else [],
        "drift": ["--if-any"],
        "compare": ["--if-any", *(["--auto-promote"] if auto_promote else [])],
    }
    commands = {job: [sys.executable, "-m", "stream.cli", job, *more.get(job, [])] for job in times}
    if settings.metrics_port:
        metrics.serve(settings.metrics_port + len(ROLES))
    asyncio.run(_lead(settings, commands, triggers, timedelta(hours=cool_down)))


async def _lead(
    settings: Settings,
    commands: dict[str, list[str]],
    triggers: dict[str, CronTrigger],
    cool_down: timedelta,
) -> None:
    from stream.engine.signals import stop_on_signals
    from stream.jobs.leader import lead
    from stream.jobs.runs import Runs
    from stream.jobs.scheduler import Scheduler

    stop = asyncio.Event()
    stop_on_signals(stop)
    dsn = settings.database.get_secret_value()
    runs = Runs(dsn, settings.namespace)
    await lead(
        dsn,
        settings.namespace,
        lambda: Scheduler(runs, commands, triggers, cool_down).work(),
        stop,
    )


def _trigger(job: str, at: str) -> CronTrigger:
    from apscheduler.triggers.cron import CronTrigger

    fields = at.split()
    # Cron counts weekdays from Sunday, this library from Monday.
    if len(fields) == 5 and any(each.isdigit() for each in fields[4]):
        raise Refused(f"--{job} {at!r}: expected weekdays by name, mon to sun, got {fields[4]}")
    try:
        return CronTrigger.from_crontab(at, UTC)
    except ValueError as error:
        raise Refused(f"--{job} {at!r}: expected five cron fields: {error}") from None
