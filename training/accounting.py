"""Where every input went: each offset that the archive passed has a row, a dead letter, or is lost.

An offset may also hold no record at all (a transaction's marker, compaction): whether it does, only
the broker can tell.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence

import msgspec
import psycopg


class Account(msgspec.Struct, frozen=True):
    """One partition of one input topic, in records; `unaccounted` must be 0.

    stored counts rows, dead the letters without a row, late those rows that came too late to count,
    empty the offsets that hold no record.
    """

    topic: str
    partition: int
    read: int
    stored: int
    dead: int
    late: int
    empty: int
    unaccounted: int


MOST_LOOKED_UP = 100_000  # unaccounted offsets of a partition that the broker is asked about


_TABLES = {
    "news": ("news",),
    "ticks": ("ticks", "clock"),
    "bars": ("bars", "clock"),
}
_PLACES = """
SELECT '{topic}' AS topic, topic_id, "partition", "offset" FROM {table} WHERE {where}
"""
_ACCOUNTS = """
WITH stored AS ({places}),
passed AS (
    SELECT topic, topic_id, "partition", next_offset FROM positions WHERE topic = %(topic)s
),
rows AS (
    SELECT p.topic, p."partition", p.next_offset, min(s."offset") AS first,
        count(s."offset") AS n
    FROM passed p LEFT JOIN stored s USING (topic, topic_id, "partition")
    GROUP BY 1, 2, 3
),
dead AS (
    SELECT DISTINCT d.source_partition, d.source_offset
    FROM dead_letters d
    WHERE d.source_topic = %(topic)s AND NOT EXISTS (
        SELECT FROM stored s
        WHERE s."partition" = d.source_partition AND s."offset" = d.source_offset
    )
)
SELECT r.topic, r."partition",
    (SELECT least(r.first, min(source_offset)) FROM dead WHERE source_partition = r."partition"),
    r.next_offset, r.n,
    (SELECT count(*) FROM dead
     WHERE source_partition = r."partition" AND source_offset < r.next_offset),
    (SELECT count(DISTINCT source_offset) FROM late_events
     WHERE source_topic = r.topic AND source_partition = r."partition")
FROM rows r ORDER BY 1, 2
"""
_HOLES = """
WITH stored AS ({places}),
known AS (
    SELECT "offset" FROM stored WHERE "partition" = %(partition)s
    UNION
    SELECT source_offset FROM dead_letters
    WHERE source_topic = %(topic)s AND source_partition = %(partition)s
)
SELECT n FROM generate_series(
    (SELECT min("offset") FROM known),
    (SELECT max(next_offset) - 1 FROM positions
     WHERE topic = %(topic)s AND "partition" = %(partition)s)
) AS n
WHERE NOT EXISTS (SELECT FROM known WHERE known."offset" = n)
ORDER BY n LIMIT %(n)s
"""


def accounts(connection: psycopg.Connection, tape: str) -> list[Account]:
    """The account of every partition of `news` and of the tape that the archive has read."""
    found = []
    for topic in ("news", tape):
        query = _ACCOUNTS.format(places=_places(topic))
        for name, partition, first, end, stored, dead, late in connection.execute(
            query.encode(), {"topic": topic}
        ):
            read = 0 if first is None else end - first
            found.append(
                Account(name, partition, read, stored, dead, late, 0, read - stored - dead)
            )
    return found


def less_empty(
    connection: psycopg.Connection,
    found: list[Account],
    without_record: Callable[[str, int, Sequence[int]], Collection[int]],
) -> list[Account]:
    """The accounts, with those offsets taken out that hold no record in the broker's log."""
    corrected = []
    for account in found:
        empty = 0
        if account.unaccounted > 0:
            places = _places(account.topic)
            query = _HOLES.format(places=places).encode()
            given = {"topic": account.topic, "partition": account.partition, "n": MOST_LOOKED_UP}
            holes = [offset for (offset,) in connection.execute(query, given)]
            empty = len(without_record(account.topic, account.partition, holes))
        corrected.append(
            msgspec.structs.replace(account, empty=empty, unaccounted=account.unaccounted - empty)
        )
    return corrected


def kept(connection: psycopg.Connection) -> Counter[tuple[str, str, int]]:
    """Archived late events and dead letters by role, topic and partition of their source."""
    rows = connection.execute(
        "SELECT CASE source_topic WHEN 'pane-ends' THEN 'market' ELSE 'score' END, "
        "source_topic, source_partition FROM late_events "
        "UNION ALL SELECT role, source_topic, source_partition FROM dead_letters"
    )
    return Counter(tuple(row) for row in rows)


def _places(topic: str) -> str:
    return " UNION ALL ".join(
        _PLACES.format(
            topic=topic, table=table, where="origin = 'bar'" if table == "bars" else "true"
        )
        for table in _TABLES[topic]
    )
