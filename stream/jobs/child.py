"""One run of a job: a command in a child process, its lines passed on to stderr."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import Sequence

from stream.engine.lifeline import die_with_parent

_TERM_S = 10.0
_LONGEST_LINE = 1 << 20
_KEPT = 2_000  # characters of the last line


async def run(command: Sequence[str]) -> tuple[int, str]:
    """The command's exit code and its last line that is not empty.

    Cancelled, it ends the child first: SIGTERM, and SIGKILL after 10 s.
    """
    child = await asyncio.create_subprocess_exec(
        *command,
        stdout=PIPE,
        stderr=STDOUT,
        limit=_LONGEST_LINE,
        env={**os.environ, "COLUMNS": str(_KEPT)},  # no line is broken
        preexec_fn=die_with_parent,
    )
    assert child.stdout is not None
    last = ""
    try:
        while line := await _line(child.stdout):
            text = line.decode(errors="replace")
            print(text, end="", file=sys.stderr, flush=True)
            last = text.strip()[:_KEPT] or last
        return await child.wait(), last
    finally:
        await _end(child)


async def _line(lines: asyncio.StreamReader) -> bytes:
    try:
        return await lines.readline()
    except ValueError:  # longer than the limit: a progress bar without a terminal, a page
        return b"(a line of over 1 MiB)\n"


async def _end(child: Process) -> None:
    if child.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        child.terminate()
    try:
        await asyncio.wait_for(child.wait(), _TERM_S)
    except TimeoutError:
        child.kill()
        await child.wait()
