"""`tapewire verify` on what real workers stored: equal as it is, no tampering goes unseen."""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from confluent_kafka import Producer

from stream.cli.prove import verify_stored
from stream.engine.topics import create_topics
from stream.events import NewsArticle, Tick, encode, micros
from stream.settings import Settings
from tests.e2e.servers import WAIT_S, environment, publish, rows_of, verified
from tests.fix_namespace import namespace_for
from training.history import open_history
from training.proof import Chosen
from training.verify import verify as prove

pytestmark = pytest.mark.stack

T0 = datetime(2024, 3, 5, 15, 0, tzinfo=UTC)
SYMBOLS = ("AAPL", "MSFT", "XOM")
N_TICKS = 600


@pytest.fixture(scope="module")
def stored(kafka: str, postgres: str, valkey: str) -> Iterator[Settings]:
    """Ten minutes of three symbols with news and corrections, scored live and archived.

    The tests share it, and each leaves it as it was.
    """
    with namespace_for("verify") as name:
        shared = Settings(
            broker=kafka, database=postgres, redis=valkey,
            namespace=name, mode="live", partitions=2,
        )  # type: ignore[arg-type]  # fmt: skip
        _record(shared)
        yield shared


@pytest.fixture
def own(settings: Callable[..., Settings]) -> Settings:
    """The same for one test alone."""
    mine = settings(mode="live", partitions=2)
    _record(mine)
    return mine


def _record(mine: Settings) -> None:
    env = environment(mine, TAPEWIRE_PARTITIONS="2")
    asyncio.run(create_topics(mine))
    subprocess.run([sys.executable, "-m", "stream.cli", "migrate"], env=env, check=True)
    roles = [
        subprocess.Popen([sys.executable, "-m", "stream.cli", "worker", "--role", role], env=env)
        for role in ("sentiment", "score", "market", "archive")
    ]
    try:
        for part in range(4):
            publish(mine, _records(part * N_TICKS // 4, (part + 1) * N_TICKS // 4))
            rows_of(mine, "SELECT 1 FROM sentiments", 2 * (part + 1))
        rows_of(mine, "SELECT 1 FROM signals WHERE trigger = 'pane'", 20)
        rows_of(mine, "SELECT 1 FROM signals WHERE trigger = 'news'", 8)
        rows_of(mine, "SELECT 1 FROM ticks", N_TICKS)
        rows_of(mine, "SELECT 1 FROM market_panes", 6)  # of 14:55, 15:00 and 15:05
    finally:
        for process in roles:
            process.send_signal(signal.SIGTERM)
        for process in roles:
            process.wait(30)


def _records(first: int, end: int) -> Iterator[tuple[str, str, bytes, int]]:
    for i in range(first, end):
        at = T0 + i * timedelta(seconds=1)
        symbol = SYMBOLS[i % len(SYMBOLS)]
        tick = Tick(symbol=symbol, ts=at, price=100 + (i * 7 % 13) / 10, size=1 + i % 5)
        yield "ticks", symbol, encode(tick), int(at.timestamp() * 1000)
    for revision in (1, 2):
        article = NewsArticle(
            id=f"n{first}",
            revision=revision,
            status="published" if revision == 1 else "corrected",
            source="wire",
            published_at=T0 + timedelta(seconds=first),
            received_at=T0 + timedelta(seconds=first),
            headline="profit surges" if revision == 1 else "profit falls, shares slump",
            symbols=("AAPL",),
        )
        yield "news", article.id, encode(article), 0


def verify(settings: Settings, *arguments: str) -> tuple[int, dict[str, Any]]:
    return verified(environment(settings), *arguments)


@contextmanager
def tampered(settings: Settings, statement: str, n_rows: int = 1) -> Iterator[None]:
    """The schema with one statement done to `n_rows`, and as it was afterwards."""
    schema = settings.namespace
    with psycopg.connect(settings.database.get_secret_value(), autocommit=True) as connection:
        connection.execute(f"SET search_path = {schema}, public".encode())
        tables = ("signals", "ticks", "sentiments", "positions", "market_panes")
        for table in tables:
            connection.execute(f"CREATE TEMP TABLE kept_{table} AS TABLE {table}".encode())
        assert connection.execute(statement.encode()).rowcount == n_rows
        yield
        for table in tables:
            connection.execute(f"DELETE FROM {table}".encode())
            connection.execute(f"INSERT INTO {table} SELECT * FROM kept_{table}".encode())


TAMPERING = {
    "score": (
        "UPDATE signals SET score = score + 1e-15 WHERE signal_id = (SELECT min(signal_id) "
        "FROM signals)",
        lambda found: found["different"] == 1 and found["differences"][0]["field"] == "score",
    ),
    "a feature": (
        "UPDATE signals SET features[1] = coalesce(features[1], 0) + 1e-12 WHERE signal_id = "
        "(SELECT min(signal_id) FROM signals)",
        lambda found: [d["field"] for d in found["differences"]] == ["features"],
    ),
    "a signal gone": (
        "DELETE FROM signals WHERE signal_id = (SELECT signal_id FROM signals WHERE "
        "trigger = 'pane' ORDER BY as_of OFFSET 3 LIMIT 1)",
        lambda found: found["extra"] == 1,
    ),
    "a signal that nothing set off": (
        "INSERT INTO signals SELECT (jsonb_populate_record(s, jsonb_build_object("
        "'signal_id', 'made-up', 'trigger_ref', 'made-up'))).* FROM signals s "
        "WHERE trigger = 'pane' ORDER BY as_of LIMIT 1",
        lambda found: found["missing"] == 1,
    ),
    "a price": (
        'UPDATE ticks SET price = price * 1.01 WHERE ("partition", "offset") = (SELECT '
        '"partition", "offset" FROM ticks ORDER BY ts OFFSET 100 LIMIT 1)',
        lambda found: found["different"] > 0,
    ),
    "a tick lost": (
        'DELETE FROM ticks WHERE ("partition", "offset") = (SELECT "partition", '
        '"offset" FROM ticks ORDER BY ts OFFSET 100 LIMIT 1)',
        lambda found: sum(a["unaccounted"] for a in found["accounts"]) == 1,
    ),
    "a sentiment": (
        "UPDATE sentiments SET positive = negative, negative = positive WHERE revision = 2 AND "
        "article_id = 'n0'",
        lambda found: found["different"] > 0,
    ),
    "a sketch, so that the next article is no re-print": (
        "UPDATE sentiments SET sketch = '' WHERE revision = 2 AND article_id = 'n0'",
        lambda found: found["different"] > 0,
    ),
    "a market pane": (
        "UPDATE market_panes SET n_symbols = n_symbols + 1 WHERE interval_end = '2024-03-05 15:05Z'"
        ' AND "partition" = 1',
        lambda found: found["market"]["different"] == 1,
    ),
}


def test_what_workers_stored_is_proven_and_every_tampering_is_found(stored: Settings) -> None:
    code, found = verify(stored)
    assert (code, found["proven"]) == (0, True), found
    assert found["equal"] >= 28
    assert found["pending"] == 0
    assert found["market"]["equal"] >= 6
    assert sum(found["market"].values()) == found["market"]["equal"]
    by_topic = {each["topic"] for each in found["accounts"] if each["stored"]}
    assert by_topic == {"news", "ticks"}

    code, one = verify(stored, "--symbol", "XOM", "--since", "2024-03-05T15:05:00")
    assert code == 0
    assert 0 < one["equal"] < found["equal"]

    code, found = verify(stored, "--lookahead")
    assert (code, found["features"]) == (0, [])
    assert found["moments"] > 10

    for name, (statement, seen) in TAMPERING.items():
        with tampered(stored, statement):
            found = verify_stored(stored, Chosen(), jobs=1)  # as the verb, without its start
        assert (found["proven"], found["wrong"]) == (False, True), name
        assert seen(found), (name, found)
    assert verify(stored)[0] == 0


def test_what_another_build_made_is_named_and_never_called_different(stored: Settings) -> None:
    elsewhere = (
        "UPDATE signals SET build = 'elsewhere' "
        "WHERE signal_id = (SELECT min(signal_id) FROM signals)"
    )
    with tampered(stored, elsewhere):
        assert verify(stored)[0] == 0
    with tampered(stored, elsewhere.replace("SET", "SET score = score + 1e-15,")):
        code, found = verify(stored)
    assert (code, found["other build"], found["different"]) == (4, 1, 0)


def test_roles_and_archive_count_the_same(stored: Settings) -> None:
    _, found = verify(stored)
    assert found["broker"] is None
    by_role = {(each["role"], each["topic"]) for each in found["roles"]}
    own = {("score", topic) for topic in ("ticks", "sentiment", "market")}
    assert by_role == own | {("sentiment", "news"), ("market", "pane-ends")}
    assert all(each["unaccounted"] == each["unarchived"] == 0 for each in found["roles"])
    for topic, role in (("ticks", "score"), ("news", "sentiment")):
        delivered = sum(
            e["delivered"] for e in found["roles"] if (e["role"], e["topic"]) == (role, topic)
        )
        assert delivered == sum(
            each["read"] for each in found["accounts"] if each["topic"] == topic
        )


def test_offsets_without_a_record_are_no_loss(own: Settings) -> None:
    producer = Producer({"bootstrap.servers": own.broker, "transactional.id": "outside"})
    producer.init_transactions(10)
    for seq in range(3):
        producer.begin_transaction()
        last = T0 + timedelta(seconds=N_TICKS + seq)
        tick = Tick(symbol="XOM", ts=last, price=101, size=1)
        producer.produce(own.topic("ticks"), encode(tick), b"XOM", partition=0)
        producer.commit_transaction(10)
    env = environment(own, TAPEWIRE_PARTITIONS="2")
    archive = subprocess.Popen(
        [sys.executable, "-m", "stream.cli", "worker", "--role", "archive"], env=env
    )
    try:
        rows_of(own, "SELECT 1 FROM ticks", N_TICKS + 3)
    finally:
        archive.terminate()
        archive.wait(30)
    _, found = verify(own)
    account = next(a for a in found["accounts"] if (a["topic"], a["partition"]) == ("ticks", 0))
    assert (account["empty"], account["unaccounted"]) == (2, 0)


def test_any_number_of_processes_gives_the_same_report(stored: Settings) -> None:
    code, found = verify(stored, "--jobs", "1")
    assert code == 0
    assert verify(stored, "--jobs", "2") == verify(stored) == (code, found)
    everywhere = "UPDATE signals SET score = score + 1e-15"
    with tampered(stored, everywhere, n_rows=found["equal"]):
        code, found = verify(stored, "--jobs", "1")
        assert verify(stored, "--jobs", "2") == (code, found)
    assert code == 1
    assert found["different"] > len(found["differences"]) == 20
    assert {each["symbol"] for each in found["differences"]} > {"MSFT"}  # alone in its partition


@pytest.mark.timeout(60)
def test_what_was_not_read_to_its_end_does_not_hold_up_the_next(
    stored: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch, fetches = psycopg.Connection.wait, itertools.count()

    def fetch_and_collect(connection: Any, *arguments: Any, **named: Any) -> Any:
        if next(fetches) % 10 == 0:  # it takes long
            gc.collect()  # where a cursor that is closed only now waits for its own connection
        return fetch(connection, *arguments, **named)

    half = Chosen(until_us=micros(T0 + timedelta(seconds=N_TICKS / 2)))
    with open_history(stored.database.get_secret_value(), stored.namespace) as history:
        monkeypatch.setattr(psycopg.Connection, "wait", fetch_and_collect)
        gc.disable()
        try:
            found = prove(history, half, jobs=1)
        finally:
            gc.enable()
    assert 0 < found.counts["equal"] == found.counts.total()


def test_signals_whose_inputs_are_not_all_archived_are_pending(stored: Settings) -> None:
    _, whole = verify(stored)
    unread = "UPDATE positions SET next_offset = next_offset / 2 WHERE topic = 'ticks'"
    with tampered(stored, unread, n_rows=2):
        _, found = verify(stored)
    assert min(found["pending"], found["equal"]) > 2
    assert found["equal"] + found["pending"] == whole["equal"]


@contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[None]:
    """Leave none behind, whatever fails."""
    try:
        yield
    finally:
        process.kill()


@contextmanager
def held_up(settings: Settings) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """A verification and its two processes, which wait for a table that only they read."""
    with (
        psycopg.connect(settings.database.get_secret_value()) as connection,
        subprocess.Popen(
            [sys.executable, "-m", "stream.cli", "verify", "--json", "--jobs", "2"],
            env=environment(settings),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # What a shell starts with & ignores SIGINT.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        ) as process,
        ended(process),
    ):
        connection.execute(f"LOCK TABLE {settings.namespace}.instruments".encode())
        waiting = (
            "SELECT FROM pg_locks WHERE NOT granted "
            f"AND relation = '{settings.namespace}.instruments'::regclass"
        )
        until = time.monotonic() + WAIT_S
        while connection.execute(waiting.encode()).rowcount < 2 and time.monotonic() < until:
            time.sleep(0.1)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        replaying = [
            int(pid)
            for pid in children
            if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
        ]
        assert len(replaying) == 2
        yield process, replaying
        connection.rollback()
        process.communicate(timeout=WAIT_S)
    while any(Path(f"/proc/{pid}").exists() for pid in replaying) and time.monotonic() < until:
        time.sleep(0.1)
    assert not any(Path(f"/proc/{pid}").exists() for pid in replaying)


def test_a_process_that_is_killed_ends_the_verification_with_what_to_do(stored: Settings) -> None:
    with held_up(stored) as (process, replaying):
        for pid in replaying:
            os.kill(pid, signal.SIGKILL)
        _, said = process.communicate(timeout=WAIT_S)
    assert process.returncode == 2
    assert "--jobs 1" in said


def test_a_stopped_verification_leaves_no_process(stored: Settings) -> None:
    for kill, code in ((signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)):
        with held_up(stored) as (process, _):
            process.send_signal(kill)
            assert process.wait(WAIT_S) == code
