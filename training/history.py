"""Stored events of a namespace, partition by partition, in the order the engine applied them.

Within a topic the order is the log's (offsets); for training, scores are in that of their times.
Between topics the smaller Kafka timestamp goes first and, on a tie, whatever is not the tape: the
rule of `stream.engine.merge`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from heapq import merge
from typing import Any, NamedTuple, TypeVar

import msgspec
import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb
from psycopg.types.numeric import Int8BinaryLoader

from stream.archive.tables import TABLES
from stream.database import explained
from stream.errors import Refused
from stream.events import micros
from stream.scoring.policy import Policy
from stream.sentiment.judge import NO_MODEL
from training.accounting import Account, accounts, less_empty
from training.quality import NewsFacts
from training.served import Vector, served
from training.stored import ACTIONS, CLOCK, INSTRUMENTS, MARKET, SENTIMENT, TAPES, Source, Stored
from training.traded import Traded, traded

_FETCH = 10_000
_FETCH_SIGNALS = 1_000  # a signal is as large as fifty ticks
_TIME_ZERO = micros(datetime(2000, 1, 1, tzinfo=UTC))  # of the server's binary times
# Of a signal's row, what its recorded inputs must give again: not where it lies, not when it came.
SIGNAL_COLUMNS = tuple(
    column
    for column in TABLES["signals"].columns
    if column not in ("emitted_at", "kafka_ts", "topic_id", "partition", "offset")
)


T = TypeVar("T")
Rows = Generator[T, None, None]  # close one that is not read to its end: it holds a cursor
_Read = tuple[tuple[int, int], Stored]  # its place in the log: age rank of the topic's id, offset


class Extent(msgspec.Struct, frozen=True):
    """What a table holds of one partition of a topic: so many rows, up to the offset `last`."""

    table: str
    topic_id: str
    partition: int
    n: int
    last: int


class Place(NamedTuple):
    """What to open to read the same history in another process, while this one is open."""

    dsn: str
    schema: str
    tape: str
    snapshot: str
    known: Sequence[Extent] | None


class History:
    """What one schema holds, read in one snapshot."""

    def __init__(
        self,
        connection: psycopg.Connection,
        dsn: str,
        schema: str,
        tape: str,
        known: Sequence[Extent] | None = None,
    ) -> None:
        self._connection = connection
        self.connection = connection  # read-only: for questions that have a file of their own
        self.dsn = dsn
        self.schema = schema
        self.tape = tape
        self._tape = TAPES[tape]
        self._events_of = (self._tape, CLOCK, SENTIMENT, ACTIONS, MARKET)
        self._known = known

    def place(self) -> Place:
        """Where another process finds this snapshot, as long as this history is open."""
        snapshot = str(self._one("SELECT pg_export_snapshot()"))
        return Place(self.dsn, self.schema, self._tape.table, snapshot, self._known)

    def extents(self) -> list[Extent]:
        """What a replay can read, by table, topic id and partition."""
        return [*self._extents(*self._events_of), *self._extents(INSTRUMENTS)]

    def _extents(self, *sources: Source) -> list[Extent]:
        found = []
        for each in sources:
            where, given = self._where(each)
            query = (
                f'SELECT topic_id, "partition", count(*), max("offset") FROM {each.table} '
                f"WHERE {where} GROUP BY 1, 2 ORDER BY 1, 2"
            )
            rows = self._connection.execute(query.encode(), given)
            found += [Extent(each.table, *row) for row in rows]
        return found

    def n_events(self) -> int:
        """How many events a replay will read."""
        return self.events_by_partition().total()

    def events_by_partition(self) -> Counter[int]:
        """How many events a replay will read of each partition."""
        found: Counter[int] = Counter()
        for each in self._extents(*self._events_of):
            found[each.partition] += each.n
        return found

    def n_panes(self) -> int:
        """How many panes or bars are stored."""
        return int(self._one("SELECT count(*) FROM bars"))

    def sentiment_model(self, newest: int | None = None) -> str | None:
        """The model that made most of the stored scores, or of so many of the newest.

        None where no model made one.
        """
        where, given = self._where(SENTIMENT)
        query = (
            f"SELECT model FROM (SELECT model FROM sentiments WHERE {where} "
            "AND model <> %s AND model NOT LIKE %s ORDER BY available_at DESC LIMIT %s) AS newest "
            "GROUP BY model ORDER BY count(*) DESC, model LIMIT 1"
        )
        found = self._one(query, *given, NO_MODEL, f"{NO_MODEL}:%", newest)
        return None if found is None else str(found)

    def news_facts(self, sentiment_model: str | None) -> NewsFacts:
        """Stored articles, and what the model says of them."""
        columns = "count(*), count(*) FILTER (WHERE btrim(headline) = '' AND btrim(body) = '')"
        news = self._connection.execute(
            f"SELECT {columns} FROM news WHERE status <> 'retracted'"
        ).fetchone()
        columns = (
            "count(*), count(*) FILTER (WHERE positive = negative), "
            "count(*) FILTER (WHERE neutral >= greatest(positive, negative))"
        )
        scores = self._connection.execute(
            f"SELECT {columns} FROM sentiments WHERE status <> 'retracted' AND model = %s",
            [sentiment_model],
        ).fetchone()
        assert news is not None
        assert scores is not None
        return NewsFacts(
            articles=news[0], textless=news[1],
            scored=scores[0], zero=scores[1], neutral=scores[2],
        )  # fmt: skip

    def sectors(self) -> dict[str, str]:
        """The sector of each symbol that has one."""
        query = "SELECT symbol, sector FROM instruments WHERE sector <> ''"
        return dict(self._connection.execute(query).fetchall())

    def partitions(self) -> Iterator[tuple[int, Iterator[Stored]]]:
        """Each partition of the tape with its events; read one to its end before the next."""
        query = f'SELECT DISTINCT "partition" FROM {self._tape.table} ORDER BY 1'
        for (partition,) in self._connection.execute(query).fetchall():
            yield partition, self.events(partition)

    def events(self, partition: int) -> Iterator[Stored]:
        """One partition's events, in the order the engine applied them."""
        inputs: dict[str, Iterator[Stored]] = {**self.inputs(partition)}
        yield from inputs.pop("instruments")
        tape = ((each.at_us // 1000, 1, each) for each in inputs.pop(self._tape.table))
        # A replay's scores lie in the log as partitions raced, and count from their own time on.
        ids = self._topic_ids(SENTIMENT.table)
        scores = (each for _, each in self._read(SENTIMENT, partition, ids, by_time=True))
        beside = inputs["actions"], inputs["market"], scores
        others = merge(*beside, key=lambda each: each.at_us // 1000)
        ahead = ((each.at_us // 1000, 0, each) for each in others)
        for _, _, each in merge(ahead, tape, key=lambda read: read[:2]):
            yield each

    def inputs(self, partition: int) -> dict[str, Rows[Stored]]:
        """For each input topic of `score` its stored records, in the log's order."""
        tape_ids = self._tape_ids
        tape = self._read(self._tape, partition, tape_ids)
        found = {self._tape.table: _in_log_order(tape, self._read(CLOCK, partition, tape_ids))}
        others = {
            "sentiment": SENTIMENT,
            "actions": ACTIONS,
            "instruments": INSTRUMENTS,
            "market": MARKET,
        }
        for topic, source in others.items():
            rows = self._read(source, partition, self._topic_ids(source.table))
            found[topic] = (each for _, each in rows)
        return found

    def refused(self, partition: int) -> defaultdict[str, set[int]]:
        """By topic the offsets of the records that `score` wrote a dead letter for."""
        rows = self._connection.execute(
            "SELECT source_topic, source_offset FROM dead_letters "
            "WHERE role = 'score' AND source_partition = %s",
            [partition],
        )
        found: defaultdict[str, set[int]] = defaultdict(set)
        for topic, offset in rows:
            found[topic].add(offset)
        return found

    def signals(self, partition: int, table: str = "signals") -> Rows[dict[str, Any]]:
        """The partition's stored signals, or `shadow_signals`, by column, in the log's order."""
        query = (
            f"SELECT {', '.join(SIGNAL_COLUMNS)} FROM {table} "
            'WHERE "partition" = %s ORDER BY "offset"'
        )
        with self._connection.cursor(name=f"history_{table}_{partition}", binary=True) as cursor:
            cursor.itersize = _FETCH_SIGNALS
            for row in cursor.execute(query.encode(), [partition]):
                yield dict(zip(SIGNAL_COLUMNS, row, strict=True))

    def served(
        self,
        partition: int,
        policy: Policy,
        model: str | None,
        since_us: int | None,
        until_us: int | None,
    ) -> Rows[Vector]:
        """The partition's served vectors by as_of."""
        return served(self._connection, partition, policy, model, since_us, until_us)

    def signal_partitions(self) -> dict[int, int]:
        """Stored signals by partition."""
        query = 'SELECT "partition", count(*) FROM signals GROUP BY 1 ORDER BY 1'
        return dict(self._connection.execute(query).fetchall())

    def archived(self, partition: int) -> dict[str, int]:
        """For each topic the next offset that the archive will read of the partition."""
        query = 'SELECT topic, max(next_offset) FROM positions WHERE "partition" = %s GROUP BY 1'
        return dict(self._connection.execute(query, [partition]).fetchall())

    def n_models(self) -> int:
        """How many models were ever stored."""
        return int(self._one("SELECT count(*) FROM ml_models"))

    def traded(
        self, since_us: int | None, until_us: int | None, pair: tuple[str, str] | None = None
    ) -> Traded:
        """Prices and actionable signals of a span; with a pair see `traded.traded`."""
        return traded(self._connection, self._tape.table, since_us, until_us, pair)

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

    def newest_policy(self) -> Policy:
        """What the newest signal obeyed. Raises Refused where there is none."""
        found = self._one(
            "SELECT policy FROM policies WHERE policy_id = "
            "(SELECT policy_id FROM signals ORDER BY as_of DESC LIMIT 1)"
        )
        if found is None:
            raise Refused(f"schema {self.schema}: expected stored signals, found none")
        return msgspec.convert(found, Policy)

    def builds(self) -> dict[str, dict[str, Any]]:
        """What each build that made a stored signal stands for."""
        query = (
            "SELECT build_id, build FROM builds b "
            "WHERE EXISTS (SELECT FROM signals s WHERE s.build = b.build_id)"
        )
        return dict(self._connection.execute(query).fetchall())

    @cached_property
    def _tape_ids(self) -> list[str]:
        return self._topic_ids(self._tape.table, CLOCK.table)

    def _topic_ids(self, *tables: str) -> list[str]:
        """Ids of the topic that these tables keep, the oldest first."""
        ages = " UNION ALL ".join(
            f"SELECT topic_id, min(kafka_ts) AS since FROM {table} GROUP BY 1" for table in tables
        )
        query = f"SELECT topic_id FROM ({ages}) AS ages GROUP BY 1 ORDER BY min(since), 1"
        return [topic_id for (topic_id,) in self._connection.execute(query.encode())]

    def _read(
        self, source: Source, partition: int, topic_ids: list[str], *, by_time: bool = False
    ) -> Rows[_Read]:
        """The stored records of a table in the log's order, or in that of their Kafka times."""
        order = "1, kafka_ts, 2" if by_time else "1, 2"
        where, given = self._where(source)
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

    def _where(self, source: Source) -> tuple[str, list[Jsonb]]:
        """The condition of the rows that count, and its parameters."""
        if self._known is None:
            return source.where, []
        last = {
            f"{each.topic_id}/{each.partition}": each.last
            for each in self._known
            if each.table == source.table
        }
        place = "topic_id || '/' || \"partition\""
        return f'{source.where} AND "offset" <= (%s ->> ({place}))::bigint', [Jsonb(last)]

    def _one(self, query: str, *given: Any) -> Any:
        row = self._connection.execute(query.encode(), given or None).fetchone()
        return None if row is None else row[0]


def _in_log_order(many: Rows[_Read], few: Rows[_Read]) -> Rows[Stored]:
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
        raise Refused(f"schema {schema}: expected policies of one tape, found {len(rows)}")
    return str(rows[0][0])
