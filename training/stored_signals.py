"""What `score` left in a schema: its signals, how far it read, and what it obeyed."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import msgspec
import psycopg

from stream.archive.tables import TABLES
from stream.errors import Refused
from stream.scoring.policy import Policy
from training.stored_log import Rows

_FETCH = 1_000  # a signal is as large as fifty ticks
# Of a signal's row, what its recorded inputs must give again: not where it lies, not when it came.
SIGNAL_COLUMNS = tuple(
    column
    for column in TABLES["signals"].columns
    if column not in ("emitted_at", "kafka_ts", "topic_id", "partition", "offset")
)


def signal_partitions(connection: psycopg.Connection) -> dict[int, int]:
    """Stored signals by partition."""
    query = 'SELECT "partition", count(*) FROM signals GROUP BY 1 ORDER BY 1'
    return dict(connection.execute(query).fetchall())


def signals(
    connection: psycopg.Connection, partition: int, table: str = "signals"
) -> Rows[dict[str, Any]]:
    """The partition's stored signals, or `shadow_signals`, by column, in the log's order."""
    query = (
        f'SELECT {", ".join(SIGNAL_COLUMNS)} FROM {table} WHERE "partition" = %s ORDER BY "offset"'
    )
    with connection.cursor(name=f"history_{table}_{partition}", binary=True) as cursor:
        cursor.itersize = _FETCH
        for row in cursor.execute(query.encode(), [partition]):
            yield dict(zip(SIGNAL_COLUMNS, row, strict=True))


def refused(connection: psycopg.Connection, partition: int) -> defaultdict[str, set[int]]:
    """By topic the offsets of the records that `score` wrote a dead letter for."""
    rows = connection.execute(
        "SELECT source_topic, source_offset FROM dead_letters "
        "WHERE role = 'score' AND source_partition = %s",
        [partition],
    )
    found: defaultdict[str, set[int]] = defaultdict(set)
    for topic, offset in rows:
        found[topic].add(offset)
    return found


def archived(connection: psycopg.Connection, partition: int) -> dict[str, int]:
    """For each topic the next offset that the archive will read of the partition."""
    query = 'SELECT topic, max(next_offset) FROM positions WHERE "partition" = %s GROUP BY 1'
    return dict(connection.execute(query, [partition]).fetchall())


def policies(connection: psycopg.Connection) -> dict[str, dict[str, Any]]:
    """What each policy_id stands for."""
    return dict(connection.execute("SELECT policy_id, policy FROM policies").fetchall())


def newest_policy(connection: psycopg.Connection, schema: str) -> Policy:
    """What the newest signal obeyed. Raises Refused where there is none."""
    found = connection.execute(
        "SELECT policy FROM policies WHERE policy_id = "
        "(SELECT policy_id FROM signals ORDER BY as_of DESC LIMIT 1)"
    ).fetchone()
    if found is None:
        raise Refused(f"schema {schema}: expected stored signals, found none")
    return msgspec.convert(found[0], Policy)


def builds(connection: psycopg.Connection) -> dict[str, dict[str, Any]]:
    """What each build that made a stored signal stands for."""
    query = (
        "SELECT build_id, build FROM builds b "
        "WHERE EXISTS (SELECT FROM signals s WHERE s.build = b.build_id)"
    )
    return dict(connection.execute(query).fetchall())
