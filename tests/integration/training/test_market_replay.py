"""Stored MarketPanes made again from stored pane ends, as a live market role left them."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator

import msgspec
import psycopg
import pytest

from stream.archive.migrate import migrate
from stream.archive.sink import Chunk, Sink
from stream.events import PaneEnd, SymbolEnd, encode, micros, moment
from stream.features.vector import FEATURE_SETS
from stream.market.gathering import Gathering, deadline_after
from stream.market.step import MarketStep
from tests.factories import policy
from tests.fix_namespace import drop_schema
from tests.history import Record
from tests.integration.sql.rows import at, connect, insert, signal
from training.history import History
from training.market_replay import compare_market
from training.proof import OTHER_BUILD, Chosen, Report

pytestmark = pytest.mark.stack

N_PARTITIONS, N_ENDS = 3, 40
FIVE_MINUTES = 300_000_000
FIRST = micros(at(0))
ALL = Chosen()


def told() -> list[PaneEnd]:
    """What partitions said in the log's order; the last one lags by hours in the middle."""
    rng = random.Random(3)
    parts = []
    for n in range(N_ENDS):
        for p in range(N_PARTITIONS):
            symbols = tuple(
                SymbolEnd(name, "tech", rng.gauss(0.0, 0.01), (rng.random(),))
                for name in "ABCDEF"[p::N_PARTITIONS]
                if rng.random() < 0.8
            )
            end = moment(FIRST + n * FIVE_MINUTES)
            part = PaneEnd(partition=p, end=end, names=("return_log_5m",), symbols=symbols)
            lags = p == 2 and 10 < n < 20
            parts.append((n + 12 * lags + rng.random(), part))
    return [part for _, part in sorted(parts, key=lambda each: each[0])]


class Logs(dict[tuple[str, int], list[Record]]):
    """Topics as the broker would keep them."""

    def send(
        self,
        topic: str,
        key: bytes,
        value: bytes,
        *,
        partition: int | None = None,
        timestamp_ms: int | None = None,
    ) -> None:
        log = self.setdefault((topic, partition or 0), [])
        at_ms = timestamp_ms or FIRST // 1000 + len(log)
        log.append(Record(partition or 0, len(log), at_ms, key, value))


def store(dsn: str, schema: str, *, replay: bool) -> None:
    """Keep what a market role reads and sends, live or in a replay."""
    drop_schema(dsn, schema)
    migrate(dsn, schema)
    deadline_us = deadline_after(FEATURE_SETS["intraday"].market, replay=replay)
    gathering = Gathering(N_PARTITIONS, deadline_us=deadline_us, benchmark="B")
    step, logs = MarketStep(gathering, N_PARTITIONS, stamp_outputs=replay), Logs()
    for part in told():
        logs.send("pane-ends", str(part.partition).encode(), encode(part))
        step.apply("pane-ends", logs["pane-ends", 0][-1], logs)
    chunks = [
        Chunk(topic, topic, partition, records, 0, len(records))
        for (topic, partition), records in logs.items()
        if topic != "late-events"
    ]
    sink = Sink(dsn, schema)
    sink.write(chunks)
    sink.close()
    rules = msgspec.to_builtins(policy(benchmark="B", news_waits_for_time=replay))
    with connect(dsn, schema) as connection:
        insert(connection, "policies", [{"policy_id": "p", "policy": rules, "first_seen": at(0)}])


@pytest.fixture(scope="module", params=["live", "replay"])
def stored(timescale: str, request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """The database's address, and a schema."""
    schema = f"market_replay_{request.param}_{uuid.uuid4().hex[:8]}"
    store(timescale, schema, replay=request.param == "replay")
    yield timescale, schema
    drop_schema(timescale, schema)


def compared(
    stored: tuple[str, str], *statements: str, chosen: Chosen = ALL, n_rows: int = 1
) -> Report:
    """What is found after the statements, which nobody else sees."""
    dsn, schema = stored
    with psycopg.connect(dsn, options=f"-c search_path={schema},public -c timezone=UTC") as own:
        for statement in statements:
            assert own.execute(statement.encode()).rowcount == n_rows
        found = compare_market(History(own, dsn, schema, "ticks"), chosen)
        own.rollback()
    return found


def test_what_the_role_sent_is_made_again_also_where_it_left_a_laggard_out(
    stored: tuple[str, str],
) -> None:
    found = compared(stored)
    assert found.counts.keys() == {"equal"}
    dsn, schema = stored
    with connect(dsn, schema) as connection:
        rows = connection.execute("SELECT n_partitions, benchmark_symbol FROM market_panes")
        told = list(rows)
    assert found.counts["equal"] == len(told) >= 3 * (N_ENDS - 12)
    left_out = sum(n_partitions < N_PARTITIONS for n_partitions, _ in told)
    assert (left_out > 10) == ("live" in schema)
    assert {symbol for _, symbol in told} == {"", "B"}


ONE = """("partition", "offset") = (1, 7)"""
TAMPERING = {
    "a mean, in its last bit": (
        f"UPDATE market_panes SET mean = mean * (1 + 2.3e-16) WHERE {ONE}",
        {"different": 1},
    ),
    "a quantile": (
        f"UPDATE market_panes SET ranked = jsonb_set(ranked, '{{return_log_5m,grid,3}}', '0.5') "
        f"WHERE {ONE}",
        {"different": 1},
    ),
    "the benchmark": (
        f"UPDATE market_panes SET benchmark = mean, benchmark_symbol = '' WHERE {ONE}",
        {"different": 1},
    ),
    "who had answered": (
        f"UPDATE market_panes SET n_partitions = 1 WHERE {ONE}",
        {"different": 1},
    ),
    "one gone": (f"DELETE FROM market_panes WHERE {ONE}", {"extra": 1}),
    "one twice": (
        'INSERT INTO market_panes SELECT (jsonb_populate_record(m, \'{"topic_id": "market2"}\''
        f")).* FROM market_panes m WHERE {ONE}",
        {"missing": 1},
    ),
    "one of another time": (
        'INSERT INTO market_panes SELECT (jsonb_populate_record(m, \'{"interval_end": '
        f'"2024-03-05T14:31Z"}}\')).* FROM market_panes m WHERE {ONE}',
        {"missing": 1},
    ),
    "what a symbol did": (
        "UPDATE pane_ends SET symbols = jsonb_set(symbols, '{0,2}', '0.25') WHERE \"offset\" = 21",
        {"different": 3},
    ),
}


@pytest.mark.parametrize("name", TAMPERING)
def test_what_was_changed_is_found(stored: tuple[str, str], name: str) -> None:
    statement, unequal = TAMPERING[name]
    counts = compared(stored, statement).counts
    assert {kind: n for kind, n in counts.items() if kind != "equal"} == unequal


def test_what_only_the_archive_has_not_read_yet_is_pending(stored: tuple[str, str]) -> None:
    last = "(SELECT max(interval_end) FROM market_panes)"
    found = compared(stored, f"DELETE FROM market_panes WHERE interval_end = {last}", n_rows=3)
    assert (found.counts["pending"], found.counts["extra"]) == (3, 0)
    unread = 'DELETE FROM pane_ends WHERE "offset" >= 117'
    found = compared(stored, unread, n_rows=3)
    assert found.counts["pending"] > 0
    assert found.counts["equal"] + found.counts["pending"] == found.counts.total()


def test_what_another_build_may_have_made_is_named_so(stored: tuple[str, str]) -> None:
    dsn, schema = stored
    rows = [signal(f"k{n}", "A", at(n), build="elsewhere") for n in (0, 60)]
    with connect(dsn, schema) as connection:
        insert(connection, "signals", rows)
        everywhere = 'UPDATE market_panes SET mean = mean + 1 WHERE "partition" = 1 AND {}'
        early, late = "interval_end < '2024-03-05 15:00Z'", "interval_end > '2024-03-05 15:00Z'"
        n_early, n_late = (
            connection.execute(everywhere.format(when).replace("+ 1", "+ 0").encode()).rowcount
            for when in (early, late)
        )
        found = compared(stored, everywhere.format(early), n_rows=n_early).counts
        assert (found[OTHER_BUILD], found["different"]) == (n_early, 0)
        found = compared(stored, everywhere.format(late), n_rows=n_late).counts
        assert (found[OTHER_BUILD], found["different"]) == (0, n_late)
        connection.execute("DELETE FROM signals")


def test_a_span_is_compared_alone_and_a_symbol_has_no_market(stored: tuple[str, str]) -> None:
    half = Chosen(micros(at(50)), micros(at(100)))
    assert compared(stored, chosen=half).counts == {"equal": 30}
    assert compared(stored, chosen=Chosen(symbol="A")).counts == {}


def test_a_benchmark_that_was_changed_is_either_of_the_two(stored: tuple[str, str]) -> None:
    other = "policy || jsonb_build_object('benchmark', 'A')"
    second = f"INSERT INTO policies SELECT 'q', {other} FROM policies"
    assert compared(stored, second).counts.keys() == {"equal"}
    assert compared(stored, f"UPDATE policies SET policy = {other}").counts["different"] > 0


def test_in_a_replay_the_time_of_a_market_pane_is_proven_too(timescale: str) -> None:
    schema = f"market_replay_times_{uuid.uuid4().hex[:8]}"
    store(timescale, schema, replay=True)
    later = f"UPDATE market_panes SET kafka_ts = kafka_ts + interval '1 ms' WHERE {ONE}"
    (difference,) = compared((timescale, schema), later).differences
    drop_schema(timescale, schema)
    assert difference.field == "kafka_ts"
