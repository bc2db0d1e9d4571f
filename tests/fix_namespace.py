"""A namespace for each test on servers that all tests share, gone when the test ends."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from psycopg import sql

from stream.settings import Settings
from tests.fix_servers import STARTED

_SESSION = f"{os.getpid():x}_{int(time.time()) % 0x1000000:x}"
_serial = itertools.count(1)


@pytest.fixture
def namespace(request: pytest.FixtureRequest) -> Iterator[str]:
    """A name no other test has; its topics, groups and schema are dropped at the end."""
    with namespace_for(request.node.originalname.removeprefix("test_")) as name:
        yield name


@contextlib.contextmanager
def namespace_for(what: str) -> Iterator[str]:
    """The same for whatever tests share, a module for instance."""
    letters = re.sub(r"[^a-z0-9]+", "", what.lower())
    name = f"t{next(_serial)}_{_SESSION}_{letters}"[:31].rstrip("_")
    yield name
    if broker := STARTED.get("kafka"):
        drop_topics(broker, name)
    if dsn := STARTED.get("timescale"):
        drop_schema(dsn, name)


@pytest.fixture
def settings(
    namespace: str, kafka: str, postgres: str, valkey: str, tmp_path: Path
) -> Callable[..., Settings]:
    """Makes settings of this test's namespace on the real servers; keywords change them."""

    def make(**changes: object) -> Settings:
        given: dict[str, object] = {
            "broker": kafka,
            "database": postgres,
            "redis": valkey,
            "namespace": namespace,
            "data_dir": tmp_path,
            **changes,
        }
        return Settings(**given)  # type: ignore[arg-type]

    return make


def drop_topics(broker: str, namespace: str) -> None:
    """Delete the topics and the groups of a namespace."""
    admin = AdminClient({"bootstrap.servers": broker, "log_level": 0})
    topics = [t for t in admin.list_topics(timeout=10).topics if t.startswith(f"{namespace}.")]
    listed = admin.list_consumer_groups(request_timeout=10).result().valid
    groups = [g.group_id for g in listed if g.group_id.startswith(f"{namespace}-")]
    gone = admin.delete_topics(topics) if topics else {}
    gone |= admin.delete_consumer_groups(groups) if groups else {}
    for future in gone.values():
        with contextlib.suppress(KafkaException):  # a group still closing goes with its topics
            future.result(10)


def drop_schema(dsn: str, namespace: str) -> None:
    """Drop a namespace's schema, everything in it, and its roles."""
    with contextlib.suppress(psycopg.OperationalError):  # a test may have stopped its database
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(
                sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(namespace))
            )
            for role in (f"{namespace}_reader", f"{namespace}_writer"):
                drop_role(connection, role)


def drop_role(connection: psycopg.Connection, role: str) -> None:
    """Drop a role, which is the cluster's, with what it was granted in this database."""
    if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [role]).rowcount:
        for statement in ("DROP OWNED BY {}", "DROP ROLE {}"):
            connection.execute(sql.SQL(statement).format(sql.Identifier(role)))
