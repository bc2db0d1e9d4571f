"""The writer while the database comes and goes."""

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import NamedTuple

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from stream.archive.migrate import migrate
from stream.archive.sink import Chunk, Sink
from stream.archive.writer import Writer
from stream.errors import Refused
from stream.events import Tick, encode
from tests.fix_namespace import drop_schema

pytestmark = pytest.mark.stack

SCHEMA = "archive_writer"
TICK = encode(Tick(symbol="A", ts=datetime(2024, 5, 1, tzinfo=UTC), price=1, size=1))


class Record(NamedTuple):
    offset: int
    value: bytes = TICK
    key: bytes | None = b"A"
    partition: int = 0
    timestamp: int = 1_714_521_600_000


class Line:
    """A TCP relay to the server that can be cut."""

    def __init__(self, database: str) -> None:
        known = conninfo_to_dict(database)
        self._target = str(known["host"]), int(str(known["port"]))
        self._server: asyncio.Server | None = None
        self._relays: set[asyncio.Task[None]] = set()
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])

    async def connect(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def cut(self) -> None:
        if self._server is not None:
            self._server.close()
        for relay in self._relays:
            relay.cancel()
        await asyncio.gather(*self._relays, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(*self._target)
        relays = {
            asyncio.create_task(self._relay(reader, there_writer)),
            asyncio.create_task(self._relay(there_reader, writer)),
        }
        self._relays |= relays

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            try:
                while data := await reader.read(65536):
                    writer.write(data)
                    await writer.drain()
            finally:
                writer.close()


def chunk(first: int, n: int) -> Chunk:
    records = [Record(first + i) for i in range(n)]
    return Chunk("ticks", "id", 0, records, first, first + n)


async def never() -> None:
    raise AssertionError("the database never went back")


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.fixture
async def line(database: str) -> AsyncIterator[Line]:
    drop_schema(database, SCHEMA)
    migrate(database, SCHEMA)
    line = Line(database)
    yield line
    await line.cut()
    drop_schema(database, SCHEMA)


@contextlib.asynccontextmanager
async def running(writer: Writer) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(writer.run())
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, Refused):
            await task
        await writer.close()


async def test_rows_are_acknowledged_only_once_the_database_has_them(
    database: str, line: Line
) -> None:
    written: Counter[str] = Counter()
    acknowledged: list[int] = []
    dsn = psycopg.conninfo.make_conninfo(database, host="127.0.0.1", port=line.port)
    writer = Writer(Sink(dsn, SCHEMA), on_written=written.update, read_again=never)
    async with running(writer):
        writer.put(chunk(0, 10), lambda: acknowledged.append(10))
        await asyncio.sleep(0.5)
        assert acknowledged == []
        await line.connect()
        await until(lambda: acknowledged == [10])
        await line.cut()
        for first in range(10, 30_010, 1000):
            writer.put(chunk(first, 1000), lambda: acknowledged.append(1000))
        await asyncio.sleep(0.5)
        assert acknowledged == [10]
        await line.connect()
        await until(lambda: sum(acknowledged) == 30_010)
        assert await writer.positions(["id"]) == {("id", 0): 30_010}
    assert written["ticks"] == 30_010


async def test_a_schema_that_does_not_fit_ends_the_run(database: str) -> None:
    writer = Writer(Sink(database, "nowhere"), on_written=lambda counts: None, read_again=never)
    async with running(writer) as task:
        writer.put(chunk(0, 1), lambda: None)
        with pytest.raises(Refused):
            await asyncio.wait_for(task, 30)
