"""A role's start: what must be so before it reads its first record."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from stream import metrics, wire
from stream.cli.role import ROLES
from stream.database import refuse_strangers
from stream.engine.patience import insist
from stream.engine.topics import create_topics
from stream.settings import Settings

log = structlog.get_logger()


async def prepare_and_run(
    settings: Settings, role: str, run: Callable[[Settings], Awaitable[None]]
) -> None:
    """Run `role` by `run`, once the servers let us in and the topics are there."""
    for line in wire.exposed(settings):
        log.warning("unprotected", why=line)
    if role in ("score", "archive", "explain"):
        await asyncio.to_thread(refuse_strangers, settings.database.get_secret_value())
    if settings.metrics_port:
        metrics.serve(settings.metrics_port + ROLES.index(role))
    await insist(lambda: create_topics(settings), "the broker")
    await run(settings)
