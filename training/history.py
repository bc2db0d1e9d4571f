"""Stored events of a namespace, partition by partition, in the order the engine applied them.

Within a topic the order is the log's (offsets); for training, scores are in that of their times.
Between topics the smaller Kafka timestamp goes first and, on a tie, whatever is not the tape: the
rule of `stream.engine.merge`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from heapq import merge
from typing import NamedTuple

import psycopg
from psycopg import sql

from stream.database import explained
from stream.errors import Refused
from training.stored import ACTIONS, CLOCK, INSTRUMENTS, MARKET, SENTIMENT, TAPES, Source, Stored
from training.stored_log import Extent, Rows, StoredLog, in_log_order


class Place(NamedTuple):
    """What to open to read the same history in another process, while this one is open."""

    dsn: str
    schema: str
    tape: str
    snapshot: str
    known: Sequence[Extent] | None


class History:
    """What one schema holds, read in one snapshot; its connection is read-only."""

    def __init__(
        self,
        connection: psycopg.Connection,
        dsn: str,
        schema: str,
        tape: str,
        known: Sequence[Extent] | None = None,
    ) -> None:
        self.connection = connection
        self.dsn = dsn
        self.schema = schema
        self.tape = tape
        self.log = StoredLog(connection, known)
        self._tape = TAPES[tape]
        self._events_of = (self._tape, CLOCK, SENTIMENT, ACTIONS, MARKET)

    def place(self) -> Place:
        """Where another process finds this snapshot, as long as this history is open."""
        row = self.connection.execute("SELECT pg_export_snapshot()").fetchone()
        assert row is not None
        return Place(self.dsn, self.schema, self.tape, str(row[0]), self.log.known)

    def extents(self) -> list[Extent]:
        """What a replay can read, by table, topic id and partition."""
        return self.log.extents(*self._events_of, INSTRUMENTS)

    def n_events(self) -> int:
        """How many events a replay will read."""
        return self.events_by_partition().total()

    def events_by_partition(self) -> Counter[int]:
        """How many events a replay will read of each partition."""
        found: Counter[int] = Counter()
        for each in self.log.extents(*self._events_of):
            found[each.partition] += each.n
        return found

    def partitions(self) -> Iterator[tuple[int, Iterator[Stored]]]:
        """Each partition of the tape with its events; read one to its end before the next."""
        query = f'SELECT DISTINCT "partition" FROM {self._tape.table} ORDER BY 1'
        for (partition,) in self.connection.execute(query.encode()).fetchall():
            yield partition, self.events(partition)

    def events(self, partition: int) -> Iterator[Stored]:
        """One partition's events, in the order the engine applied them."""
        inputs: dict[str, Iterator[Stored]] = {**self.inputs(partition)}
        tape = ((each.at_us // 1000, 1, each) for each in inputs.pop(self._tape.table))
        # A replay's scores lie in the log as partitions raced, and count from their own time on.
        ids = self.log.topic_ids(SENTIMENT.table)
        scores = (each for _, each in self.log.read(SENTIMENT, partition, ids, by_time=True))
        beside = inputs["instruments"], inputs["actions"], inputs["market"], scores
        others = merge(*beside, key=lambda each: each.at_us // 1000)
        ahead = ((each.at_us // 1000, 0, each) for each in others)
        for _, _, each in merge(ahead, tape, key=lambda read: read[:2]):
            yield each

    def inputs(self, partition: int) -> dict[str, Rows[Stored]]:
        """For each input topic of `score` its stored records, in the log's order."""
        log, tape_ids = self.log, self._tape_ids
        tape = log.read(self._tape, partition, tape_ids)
        found = {self._tape.table: in_log_order(tape, log.read(CLOCK, partition, tape_ids))}
        others = {
            "sentiment": SENTIMENT,
            "actions": ACTIONS,
            "instruments": INSTRUMENTS,
            "market": MARKET,
        }
        return found | {topic: self.read(source, partition) for topic, source in others.items()}

    def read(self, source: Source, partition: int) -> Rows[Stored]:
        """The stored records of one table, in the log's order."""
        rows = self.log.read(source, partition, self.log.topic_ids(source.table))
        return (each for _, each in rows)

    @cached_property
    def _tape_ids(self) -> list[str]:
        return self.log.topic_ids(self._tape.table, CLOCK.table)


@contextmanager
def open_history(
    dsn: str,
    schema: str,
    tape: str | None = None,
    snapshot: str | None = None,
    known: Sequence[Extent] | None = None,
) -> Iterator[History]:
    """The history of `schema` as it stands now, or as it stood in `snapshot`.

    Parameters
    ----------
    tape : by default that of its policies.
    known : extents that an earlier history told; what came after them is not there.

    Raises
    ------
    Unavailable
        The database does not answer.
    Refused
        The server refuses us, or the schema has no tables, or no policy that says its tape.
    """
    try:
        with psycopg.connect(dsn) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            if snapshot is not None:
                connection.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(snapshot))
            path = sql.SQL("SET LOCAL search_path = {}, public").format(sql.Identifier(schema))
            connection.execute(path)
            connection.execute("SET LOCAL timezone = 'UTC'")
            yield History(connection, dsn, schema, tape or _tape_of(connection, schema), known)
    except psycopg.errors.UndefinedTable as error:
        raise Refused(
            f"schema {schema}: expected the tables of tapewire, found none; run tapewire migrate"
        ) from error
    except psycopg.OperationalError as error:
        raise explained(error) from error


def _tape_of(connection: psycopg.Connection, schema: str) -> str:
    rows = connection.execute("SELECT DISTINCT policy->>'tape' FROM policies").fetchall()
    if len(rows) != 1:
        hint = "" if rows else "; nothing was scored here yet: run tapewire worker"
        raise Refused(f"schema {schema}: expected policies of one tape, found {len(rows)}{hint}")
    return str(rows[0][0])
