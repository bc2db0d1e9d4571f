"""Every function reaches its rows by an index, with enough rows that a scan would be chosen."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import psycopg
import pytest

from stream.archive.migrate import migrate
from tests.fix_namespace import drop_schema
from tests.integration.sql.rows import Row, article, at, bar, connect, insert, score, signal, tick

pytestmark = pytest.mark.stack

N = 40_000  # rows a table, 20 seconds apart: nine days, and chunks of ticks
SYMBOLS = 40
QUERIES = [
    ("SELECT * FROM asof_price('S7', '2024-03-10 12:00Z')", {"ticks", "bars"}),
    ("SELECT * FROM news_known_at('S7', '2024-03-10 12:00Z', '6 hours')", {"news", "sentiments"}),
    ("SELECT * FROM sentiment_known_at('S7', '2024-03-10 12:00Z', '6 hours')", {"sentiments"}),
    ("SELECT * FROM signals_known_at('2024-03-10 12:00Z', 'S7')", {"signals"}),
    ("SELECT * FROM signals_known_at('2024-03-10 12:00Z')", {"signals"}),
    ("SELECT * FROM bars('S7', '5 minutes', '2024-03-10 12:00Z', '2024-03-10 18:00Z')", {"ticks"}),
    (
        "SELECT * FROM signals_with_returns('30 minutes', 'S7') WHERE as_of > '2024-03-13 12:00Z'",
        {"signals", "ticks", "bars"},
    ),
]


@pytest.fixture(scope="module", params=["plain_postgres", "timescale"])
def filled(request: pytest.FixtureRequest) -> Iterator[psycopg.Connection]:
    """A schema in which each table has N rows of many symbols."""
    dsn, schema = str(request.getfixturevalue(request.param)), "sql_plans"
    drop_schema(dsn, schema)
    migrate(dsn, schema)
    with connect(dsn, schema) as connection:
        fill(connection, "ticks", tick("S", at(0), 10.0))
        fill(connection, "bars", bar("S", at(0), 10.0))
        fill(connection, "news", article("S", at(0)))
        fill(connection, "sentiments", score("S", "S", at(0)))
        fill(connection, "signals", signal("S", "S", at(0)))
        connection.execute("ANALYZE")
        yield connection
    drop_schema(dsn, schema)


def fill(connection: psycopg.Connection, table: str, row: Row) -> None:
    """N copies of `row`, each 20 seconds on, of one symbol after the other."""
    insert(connection, table, [row])
    changed = {"symbol": f"'S' || i % {SYMBOLS}", "offset": "1000000 + i"}
    changed |= {"symbols": f"ARRAY['S' || i % {SYMBOLS}]"}
    changed |= dict.fromkeys(
        ("id", "article_id", "signal_id", "signal_key"), f"'x' || i / {SYMBOLS}"
    )
    changed |= {
        column: f"{column} + i * interval '20 seconds'"
        for column, value in row.items()
        if isinstance(value, datetime)
    }
    columns = ", ".join(f'"{column}"' for column in row)
    values = ", ".join(changed.get(column, f'"{column}"') for column in row)
    connection.execute(
        f"INSERT INTO {table} ({columns}) "
        f"SELECT {values} FROM {table}, generate_series(1, {N}) i".encode()
    )


@pytest.mark.parametrize(("query", "tables"), QUERIES, ids=[query[14:40] for query, _ in QUERIES])
def test_rows_are_reached_by_an_index(
    filled: psycopg.Connection, query: str, tables: set[str]
) -> None:
    row = filled.execute(f"EXPLAIN (FORMAT JSON) {query}".encode()).fetchone()
    assert row is not None
    plan = row[0] if isinstance(row[0], list) else json.loads(row[0])
    found = list(scans(plan[0]["Plan"]))
    chunks = dict(
        filled.execute(
            "SELECT inhrelid::regclass::text, inhparent::regclass::text FROM pg_inherits"
        ).fetchall()
    )
    named = {chunks.get(f"_timescaledb_internal.{relation}", relation) for _, relation in found}
    assert tables <= named
    assert not [kind for kind, _ in found if kind == "Seq Scan"]
    assert filled.execute(query.encode()).fetchall()


def scans(node: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(kind, relation) of every scan of a relation in the plan."""
    if "Relation Name" in node and not node["Node Type"].startswith("Custom"):
        yield node["Node Type"], node["Relation Name"]
    for child in node.get("Plans", ()):
        yield from scans(child)
