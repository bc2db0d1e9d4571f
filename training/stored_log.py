"""The stored records of a topic's partition, in the order of its log, out of one snapshot.

A topic that was made anew has another id: its records come after those of the ids before.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from datetime import UTC, datetime
from typing import TypeVar

import msgspec
import psycopg
from psycopg.types.json import Jsonb
from psycopg.types.numeric import Int8BinaryLoader

from stream.events import micros
from training.stored import Source, Stored

_FETCH = 10_000
_TIME_ZERO = micros(datetime(2000, 1, 1, tzinfo=UTC))  # of the server's binary times

T = TypeVar("T")
Rows = Generator[T, None, None]  # close one that is not read to its end: it holds a cursor
Read = tuple[tuple[int, int], Stored]  # its place in the log: age rank of the topic's id, offset


class Extent(msgspec.Struct, frozen=True):
    """What a table holds of one partition of a topic: so many rows, up to the offset `last`."""

    table: str
    topic_id: str
    partition: int
    n: int
    last: int


class StoredLog:
    """What the archive keeps of the input topics.

    Parameters
    ----------
    known : extents that an earlier reader told; what came after them is not there.
    """

    def __init__(self, connection: psycopg.Connection, known: Sequence[Extent] | None) -> None:
        self.known = known
        self._connection = connection

    def extents(self, *sources: Source) -> list[Extent]:
        """What can be read, by table, topic id and partition."""
        found = []
        for each in sources:
            where, given = self.where(each)
            query = (
                f'SELECT topic_id, "partition", count(*), max("offset") FROM {each.table} '
                f"WHERE {where} GROUP BY 1, 2 ORDER BY 1, 2"
            )
            rows = self._connection.execute(query.encode(), given)
            found += [Extent(each.table, *row) for row in rows]
        return found

    def topic_ids(self, *tables: str) -> list[str]:
        """Ids of the topic that these tables keep, the oldest first."""
        ages = " UNION ALL ".join(
            f"SELECT topic_id, min(kafka_ts) AS since FROM {table} GROUP BY 1" for table in tables
        )
        query = f"SELECT topic_id FROM ({ages}) AS ages GROUP BY 1 ORDER BY min(since), 1"
        return [topic_id for (topic_id,) in self._connection.execute(query.encode())]

    def read(
        self, source: Source, partition: int, topic_ids: list[str], *, by_time: bool = False
    ) -> Rows[Read]:
        """The stored records of a table in the log's order, or in that of their Kafka times."""
        order = "1, kafka_ts, 2" if by_time else "1, 2"
        where, given = self.where(source)
        query = (
            'SELECT array_position(%s::text[], topic_id), "offset", '
            f"kafka_ts AT TIME ZONE 'UTC', {source.columns} FROM {source.table} "
            f'WHERE {where} AND "partition" = %s ORDER BY {order}'
        )
        event = source.event
        name = f"history_{source.table}_{partition}"
        with self._connection.cursor(name=name, binary=True) as cursor:
            cursor.adapters.register_loader("timestamp", Int8BinaryLoader)
            cursor.execute(query.encode(), [topic_ids, *given, partition])
            while rows := cursor.fetchmany(_FETCH):
                for rank, offset, at, *values in rows:
                    yield (rank, offset), Stored(event(*values), offset, at + _TIME_ZERO)

    def where(self, source: Source) -> tuple[str, list[Jsonb]]:
        """The condition of the rows that count, and its parameters."""
        if self.known is None:
            return source.where, []
        last = {
            f"{each.topic_id}/{each.partition}": each.last
            for each in self.known
            if each.table == source.table
        }
        place = "topic_id || '/' || \"partition\""
        return f'{source.where} AND "offset" <= (%s ->> ({place}))::bigint', [Jsonb(last)]


def in_log_order(many: Rows[Read], few: Rows[Read]) -> Rows[Stored]:
    """Both, by their places; `heapq.merge` with a key takes several times as long."""
    waiting = next(few, None)
    for read in many:
        while waiting is not None and waiting[0] < read[0]:
            yield waiting[1]
            waiting = next(few, None)
        yield read[1]
    if waiting is not None:
        yield waiting[1]
        yield from (each for _, each in few)
