"""Writes batches of records to the database, each record exactly once."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import psycopg
import structlog
from psycopg import sql

from stream.archive.tables import TABLES, Row, Table, letter_row, read_rows
from stream.database import explained
from stream.engine.step import Record
from stream.errors import Refused, TapewireError, Unavailable

log = structlog.get_logger()

_CONNECT_S = 2
_OPTIONS = "-c statement_timeout=60s -c lock_timeout=30s"

_POSITIONS = """
INSERT INTO positions (topic, topic_id, "partition", next_offset) VALUES (%s, %s, %s, %s)
ON CONFLICT (topic_id, "partition") DO UPDATE
SET next_offset = greatest(positions.next_offset, excluded.next_offset), updated_at = now()
"""
_NAMES = "SELECT names FROM feature_sets WHERE feature_set = %s AND version = %s"
_NEW_NAMES = """
INSERT INTO feature_sets (feature_set, version, names) VALUES (%s, %s, %s)
ON CONFLICT DO NOTHING
"""
# A row can be refused for what only the server checks; anything else is a server in trouble.
_BAD_ROW = (psycopg.DataError, psycopg.IntegrityError)
# Copied straight into their table, for two thirds of the server's time.
_STRAIGHT = frozenset({"ticks"})


class Behind(TapewireError):
    """The database stands before a chunk's start (a backup, a failover): read again from there."""


class Chunk(NamedTuple):
    """Records of one partition in order: all of its records from `start` to `next_offset`."""

    topic: str
    topic_id: str
    partition: int
    records: Sequence[Record]
    start: int
    next_offset: int


class Sink:
    """One connection; `write` is one transaction. Not safe for use by two threads at a time.

    After `Unavailable` the connection is gone and the next call makes a new one.
    """

    def __init__(self, dsn: str, schema: str, *, read_elsewhere: Collection[str] = ()) -> None:
        self._dsn = dsn
        self._read_elsewhere = read_elsewhere
        self._schema = schema
        self._connection: psycopg.Connection | None = None
        self._names: dict[tuple[str, int], tuple[str, ...]] = {}
        self._reached: dict[tuple[str, int], int] = {}  # as this connection saw or wrote it

    def positions(self, topic_ids: Iterable[str]) -> dict[tuple[str, int], int]:
        """The next offset to read by (topic id, partition); what was never read is absent."""
        wanted = set(topic_ids)
        try:
            self._read_positions(self._open())
        except psycopg.Error as error:
            raise self._failed(error) from error
        return {place: offset for place, offset in self._reached.items() if place[0] in wanted}

    def write(self, chunks: Sequence[Chunk]) -> Counter[str]:
        """Write the rows of `chunks` and their positions; return counts by table and `rejected`.

        A record that cannot be read is counted and left to the roles that read its topic; where
        there are none, and where the server refuses a row, a dead letter takes its place.

        Raises
        ------
        Unavailable
            The server is away; nothing of `chunks` was written, or all of it: write them again.
        Behind
            A chunk starts after what the database has; nothing was written.
        Refused
            The server refuses us, or the schema lacks what this code writes.
        """
        try:
            return self._write_once(chunks)
        except _BAD_ROW as error:
            return self._write_without_bad_row(chunks, error)
        except psycopg.Error as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """End the connection; the next call makes a new one."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        self._names.clear()
        self._reached.clear()

    def cancel(self) -> None:
        """Make a call under way in another thread end soon, with Unavailable."""
        if (connection := self._connection) is not None:
            with contextlib.suppress(psycopg.Error):
                connection.cancel_safe(timeout=_CONNECT_S)

    def _write_without_bad_row(self, chunks: Sequence[Chunk], error: Exception) -> Counter[str]:
        """Halve until the refused record stands alone; each half is a transaction."""
        n_records = sum(len(chunk.records) for chunk in chunks)
        if n_records > 1:
            counts: Counter[str] = Counter()
            for half in halves(chunks):
                counts += self.write(half)
            return counts
        letters = []
        for chunk in chunks:
            for record in chunk.records:
                reason = f"the database refuses its row: {str(error).strip()}"
                place = {"topic": chunk.topic, "partition": chunk.partition}
                log.error("row refused", **place, offset=record.offset, reason=reason)
                letters.append(letter_row(chunk.topic, chunk.topic_id, record, reason))
        without = [chunk._replace(records=()) for chunk in chunks]
        return self._write_once(without, letters) + Counter(rejected=n_records)

    def _write_once(self, chunks: Sequence[Chunk], letters: Sequence[Row] = ()) -> Counter[str]:
        try:
            connection = self._open()
            reached = self._follow(chunks)
            counts = self._write_transaction(connection, chunks, letters)
        except BaseException:
            self.close()  # with it goes what was learnt in the transaction
            raise
        self._reached |= reached
        return counts

    def _follow(self, chunks: Sequence[Chunk]) -> dict[tuple[str, int], int]:
        """Positions after `chunks`. Raises Behind where a chunk would leave a gap."""
        after: dict[tuple[str, int], int] = {}
        for chunk in chunks:
            place = chunk.topic_id, chunk.partition
            reached = after.get(place, self._reached.get(place, 0))
            if chunk.start > reached:
                raise Behind(
                    f"{chunk.topic} partition {chunk.partition}: expected the database at "
                    f"{chunk.start} or later, got {reached}"
                )
            after[place] = max(reached, chunk.next_offset)
        return after

    def _write_transaction(
        self, connection: psycopg.Connection, chunks: Sequence[Chunk], letters: Sequence[Row]
    ) -> Counter[str]:
        counts: Counter[str] = Counter()
        rows: dict[str, list[Row]] = {"dead_letters": list(letters)}
        with connection.transaction(), connection.cursor() as cursor:
            for chunk in chunks:
                counts["rejected"] += read_rows(
                    chunk.topic,
                    chunk.topic_id,
                    chunk.records,
                    self._names_of,
                    rows,
                    bury=chunk.topic not in self._read_elsewhere,
                )
            for name in sorted(rows):
                if rows[name]:
                    counts[name] += _insert(cursor, TABLES[name], rows[name])
            last = {(c.topic, c.topic_id, c.partition): c.next_offset for c in chunks}
            cursor.executemany(_POSITIONS, [(*key, last[key]) for key in sorted(last)])
        return counts

    def _names_of(self, key: tuple[str, int], names: tuple[str, ...]) -> tuple[str, ...]:
        known = self._names.get(key)
        if known is None:
            connection = self._open()
            connection.execute(_NEW_NAMES, [*key, list(names)])
            row = connection.execute(_NAMES, key).fetchone()
            known = self._names[key] = names if row is None else tuple(row[0])
        return known

    def _open(self) -> psycopg.Connection:
        if self._connection is None:
            connection = self._connection = psycopg.connect(
                self._dsn,
                autocommit=True,
                connect_timeout=_CONNECT_S,
                options=_OPTIONS,
                application_name=f"{self._schema}-archive",
            )
            connection.execute(
                sql.SQL("SET search_path = {}, public").format(sql.Identifier(self._schema))
            )
            for table in TABLES.values():
                connection.execute(
                    sql.SQL("CREATE TEMP TABLE {} (LIKE {}) ON COMMIT DELETE ROWS").format(
                        sql.Identifier(f"new_{table.name}"), sql.Identifier(table.name)
                    )
                )
            self._read_positions(connection)
        return self._connection

    def _read_positions(self, connection: psycopg.Connection) -> None:
        rows = connection.execute('SELECT topic_id, "partition", next_offset FROM positions')
        self._reached = {(topic_id, partition): offset for topic_id, partition, offset in rows}

    def _failed(self, error: psycopg.Error) -> Exception:
        self.close()
        if isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
            return Unavailable(f"TAPEWIRE_DATABASE: the server takes no writes, a standby? {error}")
        if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
            return explained(error)
        return Refused(f"schema {self._schema}: {error}; run `tapewire migrate`".strip())


def halves(chunks: Sequence[Chunk]) -> tuple[list[Chunk], list[Chunk]]:
    """`chunks` in two parts with about as many records each; order within partitions is kept.

    The first part's positions stop where its records stop.
    """
    room = sum(len(chunk.records) for chunk in chunks) // 2
    first: list[Chunk] = []
    second: list[Chunk] = []
    for chunk in chunks:
        if not second and len(chunk.records) <= room:
            first.append(chunk)
            room -= len(chunk.records)
            continue
        if room:
            middle = chunk.records[room - 1].offset + 1
            first.append(chunk._replace(records=chunk.records[:room], next_offset=middle))
            second.append(chunk._replace(records=chunk.records[room:], start=middle))
        else:
            second.append(chunk)
        room = 0
    return first, second


def _insert(cursor: psycopg.Cursor, table: Table, rows: Sequence[Row]) -> int:
    """Insert those of `rows` that the table does not have; return how many were new."""
    if table.name in _STRAIGHT:
        try:
            with cursor.connection.transaction():
                return _copy(cursor, table, sql.Identifier(table.name), rows)
        except psycopg.errors.UniqueViolation:
            pass  # another process wrote some of them
    aside = sql.Identifier("pg_temp", f"new_{table.name}")
    _copy(cursor, table, aside, rows)
    names = {"table": sql.Identifier(table.name), "columns": _columns(table), "aside": aside}
    cursor.execute(
        sql.SQL(
            "INSERT INTO {table} ({columns}) SELECT {columns} FROM {aside} ON CONFLICT DO NOTHING"
        ).format(**names)
    )
    return cursor.rowcount


def _copy(cursor: psycopg.Cursor, table: Table, into: sql.Identifier, rows: Sequence[Row]) -> int:
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(into, _columns(table))
    with cursor.copy(statement) as copy:
        copy.set_types(table.types)
        for row in rows:
            copy.write_row(row)
    return cursor.rowcount


def _columns(table: Table) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, table.columns))
