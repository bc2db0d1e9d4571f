"""Stored events of a namespace, partition by partition, in the order the engine applied them.

Within a topic the order is the log's (offsets); between topics the smaller Kafka timestamp goes
first and, on a tie, whatever is not the tape: the rule of `stream.engine.merge`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from heapq import merge
from typing import Any, NamedTuple

import msgspec
import psycopg
from psycopg import sql

from stream.archive.tables import TABLES
from stream.database import explained
from stream.errors import Refused
from stream.events import Bar, ClockTick, CorporateAction, Instrument, SentimentScored, Tick, micros
from training.accounting import Account, accounts, less_empty
from training.replay import Stored

_FETCH = 20_000
# Of a signal's row, what its recorded inputs must give again: not where it lies, not when it came.
SIGNAL_COLUMNS = tuple(
    column
    for column in TABLES["signals"].columns
    if column not in ("emitted_at", "kafka_ts", "topic_id", "partition", "offset")
)


class _Source(NamedTuple):
    """A table and how its rows become events; `columns` are in the order of the fields."""

    table: str
    columns: str
    event: Callable[..., msgspec.Struct]
    fields: tuple[str, ...]
    where: str = "true"


def _source(
    table: str, event: type[msgspec.Struct], where: str = "true", **renamed: str
) -> _Source:
    fields = event.__struct_fields__
    columns = ", ".join(f'"{renamed.get(field, field)}"' for field in fields)
    return _Source(table, columns, event, fields, where)


_TAPE = {
    "ticks": _source("ticks", Tick),
    "bars": _source("bars", Bar, "origin = 'bar'", start="bar_start", end="bar_end"),
}
_CLOCK = _source("clock", ClockTick)
_SENTIMENT = _source("sentiments", SentimentScored)
_ACTIONS = _source("actions", CorporateAction)
_INSTRUMENTS = _source("instruments", Instrument)


class History:
    """What one schema holds, read in one snapshot."""

    def __init__(self, connection: psycopg.Connection, tape: str) -> None:
        self._connection = connection
        self._tape = _TAPE[tape]

    def n_events(self) -> int:
        """How many events a replay will read."""
        tables = (self._tape, _CLOCK, _SENTIMENT, _ACTIONS)
        return sum(
            int(self._one(f"SELECT count(*) FROM {each.table} WHERE {each.where}"))
            for each in tables
        )

    def n_panes(self) -> int:
        """How many panes or bars are stored."""
        return int(self._one("SELECT count(*) FROM bars"))

    def sentiment_model(self) -> str | None:
        """The model that made most of the stored scores; None without scores."""
        found = self._one(
            "SELECT model FROM sentiments GROUP BY model ORDER BY count(*) DESC, model LIMIT 1"
        )
        return None if found is None else str(found)

    def partitions(self) -> Iterator[tuple[int, Iterator[Stored]]]:
        """Each partition of the tape with its events; read one to its end before the next."""
        query = f'SELECT DISTINCT "partition" FROM {self._tape.table} ORDER BY 1'
        for (partition,) in self._connection.execute(query).fetchall():
            yield partition, self._events(partition)

    def _events(self, partition: int) -> Iterator[Stored]:
        inputs = self.inputs(partition)
        yield from inputs.pop("instruments")
        tape = ((each.at_us // 1000, 1, each) for each in inputs.pop(self._tape.table))
        others = merge(inputs["actions"], inputs["sentiment"], key=lambda each: each.at_us // 1000)
        ahead = ((each.at_us // 1000, 0, each) for each in others)
        for _, _, each in merge(ahead, tape, key=lambda read: read[:2]):
            yield each

    def inputs(self, partition: int) -> dict[str, Iterator[Stored]]:
        """For each input topic of `score` its stored records, in the log's order."""
        tape = merge(
            self._read(self._tape, partition),
            self._read(_CLOCK, partition),
            key=lambda read: read[:2],
        )
        return {
            self._tape.table: (each for _, _, each in tape),
            "sentiment": (each for _, _, each in self._read(_SENTIMENT, partition)),
            "actions": (each for _, _, each in self._read(_ACTIONS, partition)),
            "instruments": (each for _, _, each in self._read(_INSTRUMENTS, partition)),
        }

    def refused(self, partition: int) -> set[tuple[str, int]]:
        """(topic, offset) of the partition's records that `score` wrote a dead letter for."""
        rows = self._connection.execute(
            "SELECT source_topic, source_offset FROM dead_letters "
            "WHERE role = 'score' AND source_partition = %s",
            [partition],
        )
        return {(topic, offset) for topic, offset in rows}

    def signals(self, partition: int) -> Iterator[dict[str, Any]]:
        """The partition's stored signals by column, in the log's order."""
        query = (
            f"SELECT {', '.join(SIGNAL_COLUMNS)} FROM signals "
            'WHERE "partition" = %s ORDER BY "offset"'
        )
        with self._connection.cursor(name=f"history_signals_{partition}", binary=True) as cursor:
            cursor.itersize = _FETCH
            for row in cursor.execute(query.encode(), [partition]):
                yield dict(zip(SIGNAL_COLUMNS, row, strict=True))

    def signal_partitions(self) -> dict[int, int]:
        """Stored signals by partition."""
        query = 'SELECT "partition", count(*) FROM signals GROUP BY 1 ORDER BY 1'
        return dict(self._connection.execute(query).fetchall())

    def archived(self, partition: int) -> dict[str, int]:
        """For each topic the next offset that the archive will read of the partition."""
        query = 'SELECT topic, max(next_offset) FROM positions WHERE "partition" = %s GROUP BY 1'
        return dict(self._connection.execute(query, [partition]).fetchall())

    def accounts(self) -> list[Account]:
        """Where every input went."""
        return accounts(self._connection, self._tape.table)

    def kept(self) -> Counter[tuple[str, str, int]]:
        """Archived late events and dead letters by role, topic and partition of their source."""
        rows = self._connection.execute(
            "SELECT 'score', source_topic, source_partition FROM late_events "
            "UNION ALL SELECT role, source_topic, source_partition FROM dead_letters"
        )
        return Counter(tuple(row) for row in rows)

    def less_empty(
        self,
        found: list[Account],
        without_record: Callable[[str, int, Sequence[int]], Collection[int]],
    ) -> list[Account]:
        """The accounts without the offsets that hold no record."""
        return less_empty(self._connection, found, without_record)

    def policies(self) -> dict[str, dict[str, Any]]:
        """What each policy_id stands for."""
        return dict(self._connection.execute("SELECT policy_id, policy FROM policies").fetchall())

    def builds(self) -> dict[str, dict[str, Any]]:
        """What each build that made a stored signal stands for."""
        query = (
            "SELECT build_id, build FROM builds b "
            "WHERE EXISTS (SELECT FROM signals s WHERE s.build = b.build_id)"
        )
        return dict(self._connection.execute(query).fetchall())

    def _read(self, source: _Source, partition: int) -> Iterator[tuple[int, int, Stored]]:
        """(age rank of the topic's id, offset, event), in the log's order."""
        topics = [
            row[0]
            for row in self._connection.execute(
                f"SELECT topic_id FROM {source.table} GROUP BY 1 ORDER BY min(kafka_ts), 1"
            )
        ]
        query = (
            f'SELECT {source.columns}, kafka_ts, "offset", array_position(%s::text[], topic_id) '
            f'AS rank FROM {source.table} WHERE "partition" = %s AND {source.where} '
            'ORDER BY rank, "offset"'
        )
        name = f"history_{source.table}_{partition}"
        with self._connection.cursor(name=name, binary=True) as cursor:
            cursor.itersize = _FETCH
            event, fields, n = source.event, source.fields, len(source.fields)
            lists = [i for i, field in enumerate(fields) if field == "aliases"]
            for row in cursor.execute(query.encode(), [topics, partition]):
                values: tuple[Any, ...] = row[:n]
                if lists:
                    values = tuple(tuple(v) if i in lists else v for i, v in enumerate(values))
                offset = row[n + 1]
                stored = Stored(event(**dict(zip(fields, values, strict=True))), offset,
                                micros(row[n]))  # fmt: skip
                yield row[n + 2], offset, stored

    def _one(self, query: str) -> Any:
        row = self._connection.execute(query.encode()).fetchone()
        return None if row is None else row[0]


@contextmanager
def open_history(dsn: str, schema: str, tape: str | None = None) -> Iterator[History]:
    """The history of `schema` as it stands now; its tape, where not given, is its policies'.

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
            path = sql.SQL("SET LOCAL search_path = {}, public").format(sql.Identifier(schema))
            connection.execute(path)
            connection.execute("SET LOCAL timezone = 'UTC'")
            yield History(connection, tape or _tape_of(connection, schema))
    except psycopg.errors.UndefinedTable as error:
        raise Refused(
            f"schema {schema}: expected the tables of tapewire, found none; run tapewire migrate"
        ) from error
    except psycopg.OperationalError as error:
        raise explained(error) from error


def _tape_of(connection: psycopg.Connection, schema: str) -> str:
    rows = connection.execute("SELECT DISTINCT policy->>'tape' FROM policies").fetchall()
    if len(rows) != 1:
        raise Refused(f"schema {schema}: expected policies of one tape, found {len(rows)}")
    return str(rows[0][0])
