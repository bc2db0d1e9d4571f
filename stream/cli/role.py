"""One role in a process of its own: `python -m stream.cli.role score`, as the supervisor starts it.

It imports no verb: that costs half a second, and a role that died is waited for.
"""

from __future__ import annotations

import asyncio
import os
import sys
import uuid
from collections.abc import Awaitable, Callable

import structlog

from stream.cli.process import exit_code, log_to_stderr
from stream.errors import Refused
from stream.settings import Role, Settings, read_settings

log = structlog.get_logger()

ROLES: tuple[Role, ...] = ("sentiment", "score", "archive", "clock")


def role_command(role: str) -> list[str]:
    """The command line of one role's process."""
    return [sys.executable, "-m", "stream.cli.role", role]


def role_environment(settings: Settings) -> dict[str, str]:
    """A role that is started again takes its old place: its group need not notice it was gone."""
    return {**os.environ, "TAPEWIRE_INSTANCE": settings.instance or uuid.uuid4().hex[:12]}


def run_one(role: str, settings: Settings) -> None:
    """Run one role until it is stopped. Raises Refused for a role that does not exist."""
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
    loop.run(prepare_and_run(settings, role, runners[role]()))


async def prepare_and_run(
    settings: Settings, role: str, run: Callable[[Settings], Awaitable[None]]
) -> None:
    """Run `role` by `run`, once the servers let us in and the topics are there."""
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


def main() -> None:
    """Run the role that the command line names."""
    log_to_stderr("warning")
    with exit_code():
        settings = read_settings()
        log_to_stderr(settings.log_level)
        run_one(sys.argv[1], settings)


if __name__ == "__main__":
    main()
