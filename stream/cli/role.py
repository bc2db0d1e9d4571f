"""One role in a process of its own: `python -m stream.cli.role score [--spare]`.

So the supervisor starts it: no verb is imported, which would cost what a role that died is
waited for.
"""

from __future__ import annotations

import asyncio
import os
import sys
import uuid
from collections.abc import Awaitable, Callable, Sequence

from stream.cli.process import exit_code, log_to_stderr
from stream.errors import Refused
from stream.settings import Role, Settings, read_settings

ROLES: tuple[Role, ...] = ("sentiment", "score", "archive", "clock", "explain", "market")
_MISSED = ("sentiment", "score")  # signals wait for them
_SPARE = "--spare"


def role_command(role: str) -> list[str]:
    """The command line of one role's process."""
    return [sys.executable, "-m", "stream.cli.role", role]


def spare_commands(roles: Sequence[str]) -> dict[str, list[str]]:
    """For those of `roles` that signals wait for, the command line of a process that stands by."""
    return {role: [*role_command(role), _SPARE] for role in roles if role in _MISSED}


def role_environment(settings: Settings) -> dict[str, str]:
    """A role that is started again takes its old place: its group need not notice it was gone."""
    return {**os.environ, "TAPEWIRE_INSTANCE": settings.instance or uuid.uuid4().hex[:12]}


def run_one(role: str, settings: Settings, *, spare: bool = False) -> None:
    """Run one role until it is stopped; a spare first waits for a byte on stdin.

    Raises Refused for a role that does not exist.
    """
    runners: dict[str, Callable[[], Callable[[Settings], Awaitable[None]]]] = {
        "sentiment": _sentiment,
        "score": _score,
        "archive": _archive,
        "clock": _clock,
        "explain": _explain,
        "market": _market,
    }
    if role not in runners:
        raise Refused(f"--role: expected one of {', '.join(ROLES)} or all, got {role!r}")
    import uvloop

    from stream.cli.start import prepare_and_run

    run = runners[role]()
    if spare and not sys.stdin.buffer.read(1):
        return  # the supervisor is gone
    # Over TLS uvloop held up 4 of 9 starts by 30 s, its time-out for closing; asyncio none of 10.
    loop = asyncio if settings.broker_tls else uvloop
    loop.run(prepare_and_run(settings, role, run))


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


def _explain() -> Callable[[Settings], Awaitable[None]]:
    from stream.explaining.agent import run_explain

    return run_explain


def _market() -> Callable[[Settings], Awaitable[None]]:
    from stream.market.agent import run_market

    return run_market


def main() -> None:
    """Run the role that the command line names."""
    log_to_stderr("warning")
    with exit_code():
        settings = read_settings()
        log_to_stderr(settings.log_level)
        run_one(sys.argv[1], settings, spare=_SPARE in sys.argv)


if __name__ == "__main__":
    main()
