"""The role on a real broker and TimescaleDB: killed, fed garbage, given a topic made anew."""

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import confluent_kafka as kafka
import psycopg
import pytest
from confluent_kafka.admin import AdminClient

from stream.archive.agent import run_archive
from stream.archive.migrate import migrate
from stream.engine.topics import create_topics, partition_of
from stream.events import ClockTick, Observation, Tick, encode
from stream.settings import Settings
from tests.integration.engine.log import how_far

pytestmark = pytest.mark.stack

AT = datetime(2024, 5, 1, 14, 30, tzinfo=UTC)
WAIT_S = 60.0
RUN = """
import asyncio
from stream.archive.agent import run_archive
from stream.settings import read_settings
asyncio.run(run_archive(read_settings()))
"""


@pytest.fixture
async def archived(settings: Callable[..., Settings]) -> Settings:
    """A namespace with its topics and its schema."""
    mine = settings()
    await create_topics(mine)
    await asyncio.to_thread(migrate, mine.database.get_secret_value(), mine.namespace)
    return mine


@contextlib.asynccontextmanager
async def archiving(settings: Settings) -> AsyncIterator[None]:
    stop = asyncio.Event()
    role = asyncio.create_task(run_archive(settings, stop=stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(role, 30)


def publish(settings: Settings, topic: str, records: list[tuple[bytes, bytes, int]]) -> None:
    """Send (key, value, partition) in order."""
    producer = kafka.Producer({"bootstrap.servers": settings.broker, "linger.ms": 5})
    for key, value, partition in records:
        producer.produce(settings.topic(topic), value, key, partition=partition)
    assert producer.flush(30) == 0


def tick(i: int, symbol: str = "AAPL") -> tuple[bytes, bytes, int]:
    value = encode(Tick(symbol=symbol, ts=AT + timedelta(milliseconds=i), price=1 + i, size=1))
    return symbol.encode(), value, partition_of(symbol.encode(), 4)


def query(settings: Settings, text: str) -> list[tuple[Any, ...]]:
    options = f"-c search_path={settings.namespace},public"
    with psycopg.connect(settings.database.get_secret_value(), options=options) as connection:
        return connection.execute(text).fetchall()  # type: ignore[arg-type]


def read_through(settings: Settings) -> int:
    """How many offsets of all topics the database has."""
    return int(query(settings, "SELECT coalesce(sum(next_offset), 0) FROM positions")[0][0])


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not await asyncio.to_thread(holds):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


@pytest.fixture
def start(archived: Settings) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Starts archive processes; ends what is left of them."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TAPEWIRE_")} | {
        "TAPEWIRE_BROKER": archived.broker,
        "TAPEWIRE_DATABASE": archived.database.get_secret_value(),
        "TAPEWIRE_NAMESPACE": archived.namespace,
    }
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen([sys.executable, "-c", RUN], env=environment))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


async def test_a_killed_archive_leaves_each_row_once(
    archived: Settings, start: Callable[[], subprocess.Popen[bytes]]
) -> None:
    n = 60_000
    publish(archived, "ticks", [tick(i, f"S{i % 20}") for i in range(n)])
    first = start()
    await until(lambda: read_through(archived) > 0)
    first.kill()
    first.wait()
    assert 0 < read_through(archived) < n
    second = start()
    await until(lambda: read_through(archived) == n)
    second.terminate()
    assert await asyncio.to_thread(second.wait, 10) == 0
    (found,) = query(
        archived, 'SELECT count(*), count(DISTINCT ("partition", "offset")), sum(price) FROM ticks'
    )
    assert found == (n, n, sum(1 + i for i in range(n)))


async def test_garbage_and_clock_ticks_and_lag(archived: Settings) -> None:
    beat = encode(ClockTick(kind="beat", at=AT))
    garbage = [(b"AAPL", raw, 0) for raw in (b"", b"\xff", b"[" * 1000, b'{"symbol":"AAPL"}')]
    beats = [(b"*", beat, partition) for partition in range(4)]
    publish(archived, "ticks", [*garbage, tick(1), *garbage, *beats, tick(2)])
    publish(archived, "news", garbage)
    async with archiving(archived):
        await until(lambda: read_through(archived) == 18)
        await until(lambda: sum(at for at, _ in how_far(archived, "archive").values()) == 18)
        began = time.perf_counter()
        publish(archived, "ticks", [tick(3)])
        place = "ticks", tick(3)[2]
        _, end = (await asyncio.to_thread(how_far, archived, "archive"))[place]
        await until(lambda: how_far(archived, "archive")[place][0] == end)
        assert time.perf_counter() - began < 15
    assert query(archived, "SELECT count(*) FROM ticks") == [(3,)]
    assert query(archived, "SELECT count(*), count(DISTINCT at) FROM clock") == [(4, 1)]
    assert query(archived, "SELECT count(*) FROM news") == [(0,)]


async def test_a_database_restored_from_a_backup_catches_up_by_itself(archived: Settings) -> None:
    publish(archived, "ticks", [tick(i, f"S{i % 20}") for i in range(1000)])
    async with archiving(archived):
        await until(lambda: read_through(archived) == 1000)
        with psycopg.connect(archived.database.get_secret_value(), autocommit=True) as connection:
            connection.execute(f"SET search_path = {archived.namespace}, public")
            connection.execute('DELETE FROM ticks WHERE "offset" >= 10')
            connection.execute("UPDATE positions SET next_offset = least(next_offset, 10)")
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = %s",
                [archived.group("archive")],
            )
        publish(archived, "ticks", [tick(i, f"S{i % 20}") for i in range(1000, 2000)])
        await until(lambda: read_through(archived) == 2000)
    found = query(archived, "SELECT count(*), sum(price) FROM ticks")
    assert found == [(2000, sum(1 + i for i in range(2000)))]


async def test_a_topic_made_anew_is_read_from_its_start(archived: Settings) -> None:
    def observed(value: float) -> tuple[bytes, bytes, int]:
        event = Observation(symbol="*", source="macro", metric="vix", value=value, ts=AT)
        return b"*", encode(event), 0

    publish(archived, "context", [observed(1), observed(2)])
    async with archiving(archived):
        await until(lambda: read_through(archived) == 2)
    name = archived.topic("context")
    admin = AdminClient({"bootstrap.servers": archived.broker})
    admin.delete_topics([name])[name].result()
    await until(lambda: name not in admin.list_topics(timeout=5).topics)
    await create_topics(archived)
    publish(archived, "context", [observed(3)])
    async with archiving(archived):
        await until(lambda: read_through(archived) == 3)
    rows = query(archived, 'SELECT value, "offset" FROM context ORDER BY kafka_ts, "offset"')
    assert rows == [(1.0, 0), (2.0, 1), (3.0, 0)]
    assert query(archived, "SELECT count(DISTINCT topic_id) FROM context") == [(2,)]
