"""A migrated schema of the test's own on each kind of server that the SQL must answer on."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from stream.archive.migrate import migrate
from tests.fix_namespace import drop_schema
from tests.integration.sql.rows import connect

SERVERS = {"plain": "plain_postgres", "apache": "timescale", "tsl": "tsl"}


@pytest.fixture(params=list(SERVERS))
def server(request: pytest.FixtureRequest) -> str:
    """DSN of a plain PostgreSQL, TimescaleDB's Apache edition and its community edition."""
    return str(request.getfixturevalue(SERVERS[request.param]))


@pytest.fixture
def db(server: str, namespace: str) -> Iterator[psycopg.Connection]:
    """A connection whose search_path is this test's schema."""
    with migrated(server, namespace) as connection:
        yield connection


@pytest.fixture
def tsl_db(tsl: str, namespace: str) -> Iterator[psycopg.Connection]:
    """The same on the community edition alone."""
    with migrated(tsl, namespace) as connection:
        yield connection


@contextmanager
def migrated(dsn: str, schema: str) -> Iterator[psycopg.Connection]:
    """A schema as `tapewire migrate` leaves it, gone with its roles at the end."""
    drop_schema(dsn, schema)
    migrate(dsn, schema)
    with connect(dsn, schema) as connection:
        yield connection
    drop_schema(dsn, schema)
