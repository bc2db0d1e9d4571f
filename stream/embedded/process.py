"""Child servers: started, waited for, found again after a kill, and never left behind."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from stream.engine.lifeline import die_with_parent
from stream.errors import Unavailable

READY_S = 30.0
_STOP_S = 3.0
_MOST_RUNS = 99
_LAST_WORDS = 5_000  # characters


def package_dir(name: str) -> Path:
    """The folder of an installed package, without importing it."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise Unavailable(f"package {name}: expected it installed, found none; pip install {name}")
    return Path(spec.origin).parent


def free_port() -> int:
    """A free TCP port on loopback."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def start(
    name: str, command: Sequence[str], log: Path, ready: Callable[[], bool]
) -> subprocess.Popen[bytes]:
    """Start a server that dies with this process; returns when `ready` says so."""
    with log.open("ab") as out:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
    until = time.monotonic() + READY_S
    while time.monotonic() < until:
        if ready():
            return process
        if process.poll() is not None:
            break
        time.sleep(0.02)
    stop(process)
    raise Unavailable(f"embedded {name} did not start: {told(log.read_text(errors='replace'))}")


def told(output: str) -> str:
    """A server's last words in one line, and what to do where they are of a full disk."""
    words = " | ".join(output.strip().splitlines()[-5:])
    if "No space left on device" in output[-_LAST_WORDS:]:
        return f"{words}; its disk is full: make room there, or set TAPEWIRE_DATA_DIR to another"
    return words


def stop(process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> None:
    """Ask a server to end, then insist."""
    if process.poll() is None:
        process.send_signal(number)
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Hold the lock file while the block runs; yields False at once where another process does."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def own_folder(root: Path) -> Iterator[Path]:
    """The first of root/run-1, run-2, ... that no living process holds, locked while in use."""
    for n in range(1, _MOST_RUNS + 1):
        folder = root / f"run-{n}"
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder / ".lock") as mine:
            if mine:
                yield folder
                return
    raise Unavailable(f"{root}: expected a free run folder among {_MOST_RUNS}, found none")


def end_stale(pid_file: Path, folder: Path) -> None:
    """End the server that a killed owner left at work in `folder`, if that is what it is."""
    try:
        pid = int(pid_file.read_text().split()[0])
        if not folder.samefile(f"/proc/{pid}/cwd"):
            return
        os.kill(pid, signal.SIGQUIT)
    except (OSError, ValueError, IndexError):
        return
    until = time.monotonic() + _STOP_S
    while Path(f"/proc/{pid}").exists() and time.monotonic() < until:
        time.sleep(0.02)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
