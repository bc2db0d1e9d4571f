"""Where every input went: each offset that the archive passed has a row, a dead letter, or is lost.

Only for topics whose offsets have no holes by nature: what producers write outside transactions
and no compaction thins out.
"""

from __future__ import annotations

import msgspec
import psycopg


class Account(msgspec.Struct, frozen=True):
    """One partition of one input topic, in records; `unaccounted` must be 0.

    stored counts rows, dead the letters without a row, late those rows that came too late to count.
    """

    topic: str
    partition: int
    read: int
    stored: int
    dead: int
    late: int
    unaccounted: int


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


def accounts(connection: psycopg.Connection, tape: str) -> list[Account]:
    """The account of every partition of `news` and of the tape that the archive has read."""
    found = []
    for topic in ("news", tape):
        places = " UNION ALL ".join(
            _PLACES.format(
                topic=topic, table=table, where="origin = 'bar'" if table == "bars" else "true"
            )
            for table in _TABLES[topic]
        )
        query = _ACCOUNTS.format(places=places)
        for name, partition, first, end, stored, dead, late in connection.execute(
            query.encode(), {"topic": topic}
        ):
            read = 0 if first is None else end - first
            found.append(Account(name, partition, read, stored, dead, late, read - stored - dead))
    return found
