"""The process that takes a dead role's place: it has done what a start takes, and waits."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping, Sequence

from stream.engine.lifeline import die_with_parent

AFTER_S = 5.0  # a role that has just started needs the processor more


async def start(
    command: Sequence[str], env: Mapping[str, str] | None, *, stdin: int = DEVNULL
) -> Process:
    """A child process that cannot outlive this one."""
    return await asyncio.create_subprocess_exec(
        *command, env=env, stdin=stdin, preexec_fn=die_with_parent
    )


class Spare:
    """One process of `command` at a time, which waits for a byte on its stdin before it works."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str] | None) -> None:
        self._command = command
        self._env = env
        self._given_up = asyncio.Event()
        self._making: asyncio.Task[Process | None] | None = None

    def prepare(self) -> None:
        """Have one from `AFTER_S` seconds on; `take` or `end` the one before first."""
        self._given_up = asyncio.Event()
        self._making = asyncio.create_task(self._make(self._given_up))

    async def take(self) -> Process | None:
        """The process, at work from now on; None where none stands by."""
        process = await self._give_up()
        if process is None or process.stdin is None:
            return None
        process.stdin.write(b"\n")
        process.stdin.close()
        return process

    async def end(self) -> None:
        """Leave none behind."""
        process = await self._give_up()
        if process is not None:
            process.kill()
            await process.wait()

    async def _give_up(self) -> Process | None:
        self._given_up.set()
        making, self._making = self._making, None
        process = await making if making is not None else None
        return process if process is not None and process.returncode is None else None

    async def _make(self, given_up: asyncio.Event) -> Process | None:
        try:
            await asyncio.wait_for(given_up.wait(), AFTER_S)
        except TimeoutError:
            return await start(self._command, self._env, stdin=PIPE)
        return None
