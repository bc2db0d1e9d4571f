"""Roles as child processes of one parent: restarted with back-off, gone when it goes."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import structlog

from stream.engine.signals import stop_on_signals
from stream.engine.spare import Spare, start
from stream.errors import Refused

log = structlog.get_logger()

CRASHES = 5  # in CRASH_WINDOW_S end the run: restarting does not help
CRASH_WINDOW_S = 60.0
_BACKOFF_S = (0.0, 1.0, 2.0, 4.0)  # after a first crash every moment without the role counts
_TERM_S = 4.0


async def supervise(
    commands: Mapping[str, Sequence[str]],
    *,
    spares: Mapping[str, Sequence[str]] = MappingProxyType({}),
    env: Mapping[str, str] | None = None,
    stop: asyncio.Event | None = None,
    restart: bool = True,
) -> int:
    """Run every role's command until `stop`, SIGTERM or SIGINT; returns 0.

    spares : of roles that are missed at once, a command that waits for a byte on its stdin before
        it works: such a process stands by, and follows the one that died.

    Raises
    ------
    Refused
        A role ended with exit code 2, crashed CRASHES times in CRASH_WINDOW_S, or ended at all
        where `restart` is off.
    """
    stop = stop or asyncio.Event()
    stop_on_signals(stop)
    tasks = [
        asyncio.create_task(_keep_running(role, command, spares.get(role), env, stop, restart))
        for role, command in commands.items()
    ]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stop.set()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    for error in ended:
        if isinstance(error, BaseException):
            raise error
    return 0


async def _keep_running(
    role: str,
    command: Sequence[str],
    spare_command: Sequence[str] | None,
    env: Mapping[str, str] | None,
    stop: asyncio.Event,
    restart: bool,
) -> None:
    crashes: deque[float] = deque(maxlen=CRASHES)
    spare = Spare(spare_command, env) if spare_command and restart else None
    try:
        while not stop.is_set():
            process = (spare and await spare.take()) or await start(command, env)
            if spare:
                spare.prepare()
            try:
                code = await _until_ended(process, stop)
            finally:
                await _end(process)
            if stop.is_set():
                return
            pause_s = _pause_s(role, code, crashes, restart)
            log.error("role ended, starting it again", role=role, code=code, in_s=pause_s)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause_s)
    finally:
        if spare:
            await spare.end()


def _pause_s(role: str, code: int | None, crashes: deque[float], restart: bool) -> float:
    """Count a crash; seconds until the role starts again. Raises Refused where it should not."""
    crashes.append(time.monotonic())
    while crashes[-1] - crashes[0] >= CRASH_WINDOW_S:
        crashes.popleft()
    if code == Refused.exit_code or not restart:  # settings that do not fit: it cannot help
        raise Refused(f"role {role} ended with exit code {code}; its last lines are above")
    if len(crashes) == CRASHES:
        raise Refused(
            f"role {role} crashed {CRASHES} times in {CRASH_WINDOW_S:g} s, the last time with "
            f"exit code {code}; its last lines are above"
        )
    return _BACKOFF_S[min(len(crashes), len(_BACKOFF_S)) - 1]


async def _until_ended(process: asyncio.subprocess.Process, stop: asyncio.Event) -> int | None:
    ended = asyncio.create_task(process.wait())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    return process.returncode


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _TERM_S)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):  # it ended at this moment
            process.kill()
        await process.wait()
