"""Verbs that run things: worker, migrate, load."""

from __future__ import annotations

import asyncio
import os
import sys
import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated

import msgspec
import structlog
import typer
from rich.console import Console

from stream.cli.progress import load_progress
from stream.errors import Refused
from stream.settings import Role, Settings, read_settings

log = structlog.get_logger()

ROLES: tuple[Role, ...] = ("sentiment", "score", "archive", "clock")
JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON on stdout.")]


def worker(
    role: Annotated[str, typer.Option(help=f"One of {', '.join(ROLES)}, or all.")] = "all",
) -> None:
    """Run one role, or all of them under one supervisor, until stopped.

    Example: TAPEWIRE_BROKER=127.0.0.1:9092 tapewire worker --role score
    """
    from stream.cli.app import log_to_stderr

    settings = read_settings()
    log_to_stderr(settings.log_level)
    if role == "all":
        sys.exit(asyncio.run(_supervise(settings)))
    runners: dict[str, Callable[[], Callable[[Settings], Awaitable[None]]]] = {
        "sentiment": _sentiment,
        "score": _score,
        "archive": _archive,
        "clock": _clock,
    }
    if role not in runners:
        raise Refused(f"--role: expected one of {', '.join(ROLES)} or all, got {role!r}")
    import uvloop

    # Over TLS uvloop held up 4 of 9 starts by 30 s, its time-out for closing; asyncio none of 10.
    loop = asyncio if settings.broker_tls else uvloop
    loop.run(_one(settings, role, runners[role]()))


async def _one(settings: Settings, role: str, run: Callable[[Settings], Awaitable[None]]) -> None:
    from stream import metrics, wire
    from stream.database import refuse_strangers
    from stream.engine.patience import insist
    from stream.engine.topics import create_topics

    for line in wire.exposed(settings):
        log.warning("unprotected", why=line)
    if role in ("score", "archive"):
        await asyncio.to_thread(refuse_strangers, settings.database.get_secret_value())
    if settings.metrics_port:
        metrics.serve(settings.metrics_port + ROLES.index(role))
    await insist(lambda: create_topics(settings), "the broker")
    await run(settings)


async def _supervise(settings: Settings) -> int:
    from stream.engine.supervisor import supervise

    roles = ROLES if settings.mode == "live" else tuple(r for r in ROLES if r != "clock")
    commands: dict[str, list[str]] = {role: role_command(role) for role in roles}
    return await supervise(commands, env=role_environment(settings))


def role_environment(settings: Settings) -> dict[str, str]:
    """A role that is started again takes its old place: its group need not notice it was gone."""
    return {**os.environ, "TAPEWIRE_INSTANCE": settings.instance or uuid.uuid4().hex[:12]}


def role_command(role: str) -> list[str]:
    """The command line of one role's process."""
    return [sys.executable, "-m", "stream.cli", "worker", "--role", role]


def _sentiment() -> Callable[[Settings], Awaitable[None]]:
    from stream.sentiment.agent import run_sentiment

    return run_sentiment


def _score() -> Callable[[Settings], Awaitable[None]]:
    from stream.scoring.agent import run_score

    return run_score


def _archive() -> Callable[[Settings], Awaitable[None]]:
    from stream.archive.agent import run_archive

    return run_archive


def _clock() -> Callable[[Settings], Awaitable[None]]:
    from stream.clock.agent import run_clock

    return run_clock


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
