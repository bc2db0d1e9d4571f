"""Verbs that run things: worker, migrate, load."""

from __future__ import annotations

import asyncio
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from stream.cli.process import log_to_stderr
from stream.cli.progress import load_progress
from stream.cli.role import ROLES, role_command, role_environment, run_one, spare_commands
from stream.settings import Settings, read_settings

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


def worker(
    role: Annotated[str, typer.Option(help=f"One of {', '.join(ROLES)}, or all.")] = "all",
) -> None:
    """Run one role, or all of them under one supervisor, until stopped.

    Example: TAPEWIRE_BROKER=127.0.0.1:9092 tapewire worker --role score
    """
    settings = read_settings()
    log_to_stderr(settings.log_level)
    if role == "all":
        sys.exit(asyncio.run(_supervise(settings)))
    run_one(role, settings)


async def _supervise(settings: Settings) -> int:
    from stream.engine.supervisor import supervise

    roles = ROLES if settings.mode == "live" else tuple(r for r in ROLES if r != "clock")
    return await supervise(
        {role: role_command(role) for role in roles},
        spares=spare_commands(roles),
        env=role_environment(settings),
    )


def migrate() -> None:
    """Create or bring up to date the namespace's schema.

    Example: TAPEWIRE_DATABASE=postgresql://me@db/market tapewire migrate
    """
    from stream.archive.migrate import migrate as apply

    settings = read_settings()
    applied = apply(settings.database.get_secret_value(), settings.namespace)
    for name in applied:
        print(name)
    if not applied:
        Console(stderr=True).print(f"schema {settings.namespace} is up to date")


def load(
    folder: Annotated[Path, typer.Argument(help="A recorded dataset; formats: docs/datasets.md.")],
    speed: Annotated[
        float | None, typer.Option(help="Past seconds a second; default: as fast as roles follow.")
    ] = None,
    since: Annotated[datetime | None, typer.Option(help="Only events from here on (UTC).")] = None,
    until: Annotated[datetime | None, typer.Option(help="Only events before this (UTC).")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Publish a recorded dataset in order of availability, bounded by the consumers' lag.

    Example: TAPEWIRE_NAMESPACE=ticks2013 TAPEWIRE_MODE=replay tapewire load ./trades
    """
    from stream.cli.times import utc_micros
    from stream.datasets.loader import load as publish
    from stream.datasets.recorded import open_dataset
    from stream.engine.topics import create_topics

    dataset = open_dataset(folder)
    settings = read_settings(mode="replay", feature_set=dataset.feature_set, tape=dataset.tape)

    async def run() -> object:
        await create_topics(settings)
        with load_progress(dataset.name) as progress:
            return await publish(
                settings,
                dataset,
                speed=speed,
                from_us=utc_micros(since),
                until_us=utc_micros(until),
                progress=progress,
            )

    summary = asyncio.run(run())
    if as_json:
        print(msgspec.json.encode(summary).decode())
    else:
        print(summary)
