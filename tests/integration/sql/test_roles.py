"""What a login in each group role may do, with the code that works under it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from models.registry import Registry
from stream.archive.migrate import migrate
from stream.archive.sink import Chunk, Sink
from stream.events import Instrument, encode
from stream.scoring.build import this_build
from stream.scoring.provenance import record
from stream.settings import Settings
from tests import factories
from tests.fix_namespace import drop_role, drop_schema
from tests.history import Record
from tests.integration.archive.test_archive_sink import signal
from tests.integration.sql.rows import at, bar, connect, insert, tick
from tests.integration.sql.test_bars_and_panes import POLICY
from tests.integration.training.test_registry_moves import make_artifact
from training.history import open_history
from training.outcomes import record_outcomes

pytestmark = pytest.mark.stack

DENIED = psycopg.errors.InsufficientPrivilege
LOGINS = ("worker", "analyst", "stranger")


@pytest.fixture(params=["plain_postgres", "timescale"])
def owner(request: pytest.FixtureRequest, namespace: str) -> Iterator[str]:
    """DSN of who migrated, with a login in each role and one in none."""
    dsn = str(request.getfixturevalue(request.param))
    migrate(dsn, namespace)
    with psycopg.connect(dsn, autocommit=True) as connection:
        for login, group in zip(LOGINS, ("writer", "reader", None), strict=True):
            member = sql.SQL("IN ROLE {}").format(sql.Identifier(f"{namespace}_{group}"))
            connection.execute(
                sql.SQL("CREATE ROLE {} LOGIN {}").format(
                    sql.Identifier(f"{namespace}_{login}"), member if group else sql.SQL("")
                )
            )
    yield dsn
    with psycopg.connect(dsn, autocommit=True) as connection:
        for login in LOGINS:
            drop_role(connection, f"{namespace}_{login}")
    drop_schema(dsn, namespace)


def of(owner: str, namespace: str, login: str) -> str:
    return make_conninfo(owner, user=f"{namespace}_{login}")


def chunk(topic: str, *events: object, first: int = 0) -> Chunk:
    records = [
        Record(0, first + i, 1_709_647_200_000, b"AAPL", encode(event))
        for i, event in enumerate(events)
    ]
    return Chunk(topic, "id", 0, records, first, first + len(records))


def test_the_workers_code_runs_as_writer(owner: str, namespace: str, tmp_path: Path) -> None:
    dsn = of(owner, namespace, "worker")
    sink = Sink(dsn, namespace)
    counts = sink.write(
        [
            chunk("ticks", factories.tick(), factories.tick(seconds=3e6)),
            chunk("news", factories.article()),
            chunk("instruments", Instrument(symbol="AAPL", company="a")),
            chunk("signals", signal()),
            chunk("shadow-signals", signal()),
        ]
    )
    counts += sink.write([chunk("instruments", Instrument(symbol="AAPL", company="b"), first=1)])
    sink.close()
    assert +counts == {
        "ticks": 2, "news": 1, "instruments": 2, "signals": 1, "shadow_signals": 1
    }  # fmt: skip
    settings = Settings(database=dsn, namespace=namespace, data_dir=tmp_path)  # type: ignore[arg-type]
    asyncio.run(record(settings, POLICY, this_build()))
    registry = Registry(dsn, namespace)
    first, second = (make_artifact(seed=seed) for seed in (1, 2))
    for artifact in (first, second):
        registry.save(artifact, {})
        registry.promote("champion", artifact.version, "ann", "better")
    assert registry.rollback("champion", "ann", "worse") == first.version
    with open_history(dsn, namespace) as history:
        assert history.n_events() == 2
    with connect(owner, namespace) as connection:
        far_later = at(10_000_000)
        insert(connection, "bars", [bar("AAPL", far_later, 1.0, origin="pane")])
    assert record_outcomes(dsn, namespace) == {"no entry": 1, "unmatured": 0}


MORE_THAN_WRITING = [
    "DELETE FROM ticks",
    "DELETE FROM ml_models",
    "TRUNCATE ticks",
    "UPDATE ticks SET price = 1",
    "UPDATE ml_models SET sha256 = ''",
    "UPDATE ml_alias_moves SET actor = ''",
    "INSERT INTO schema_migrations VALUES ('x', 'x')",
    "DROP TABLE ticks",
    "ALTER TABLE ticks ADD COLUMN x int",
    "CREATE TABLE mine (x int)",
    "CREATE INDEX ON ticks (price)",
    "SELECT keep_for('ticks', '800 days')",
]


def test_writer_is_refused_more(owner: str, namespace: str) -> None:
    with connect(of(owner, namespace, "worker"), namespace) as connection:
        for statement in MORE_THAN_WRITING:
            with pytest.raises(DENIED):
                connection.execute(statement.encode())


def test_reader_reads_everything_and_writes_nothing(owner: str, namespace: str) -> None:
    with connect(owner, namespace) as connection:
        insert(connection, "ticks", [tick("A", at(0), 10.0)])
        connection.execute("CREATE TABLE later AS SELECT 1 AS x")
        connection.execute("CREATE FUNCTION later() RETURNS int LANGUAGE sql RETURN 7")
    with connect(of(owner, namespace, "analyst"), namespace) as connection:
        relations = connection.execute(
            "SELECT oid::regclass::text FROM pg_class "
            "WHERE relnamespace = %s::regnamespace AND relkind IN ('r', 'v')",
            [namespace],
        ).fetchall()
        assert len(relations) > 20
        for (relation,) in relations:
            connection.execute(f"SELECT * FROM {relation} LIMIT 1".encode())
        assert connection.execute("SELECT price FROM asof_price('A', now())").fetchone() == (10.0,)
        assert connection.execute("SELECT later(), x FROM later").fetchone() == (7, 1)
        for statement in (
            "INSERT INTO clock SELECT * FROM clock",
            "UPDATE positions SET next_offset = 0",
            "DELETE FROM ticks",
            "SELECT keep_for('ticks', '800 days')",
            "CREATE TABLE mine (x int)",
        ):
            with pytest.raises(DENIED):
                connection.execute(statement.encode())


def test_who_is_in_no_role_gets_nothing(owner: str, namespace: str) -> None:
    with connect(of(owner, namespace, "stranger"), namespace) as connection:
        for query in ("ticks", "latest_signals", "asof_price('A', now())"):
            with pytest.raises(DENIED):
                connection.execute(f"SELECT * FROM {namespace}.{query}".encode())


def test_who_may_not_create_roles_migrates_without(owner: str, namespace: str) -> None:
    own = f"{namespace[:20]}_own"
    login = sql.Identifier(f"{namespace}_stranger")
    with psycopg.connect(owner, autocommit=True) as connection:
        database = sql.Identifier(connection.info.dbname)
        connection.execute(sql.SQL("GRANT CREATE ON DATABASE {} TO {}").format(database, login))
    dsn = of(owner, namespace, "stranger")
    try:
        assert "008_roles.sql" in migrate(dsn, own)
        with connect(dsn, own) as connection:
            insert(connection, "ticks", [tick("A", at(0), 10.0)])
            roles = connection.execute(
                "SELECT FROM pg_roles WHERE rolname LIKE %s", [f"{own}%"]
            ).rowcount
            assert roles == 0
    finally:
        drop_schema(owner, own)
