"""One leader among processes: who holds the database's advisory lock.

The lock lives as long as its connection. A leader that dies loses both at once; one that is cut off
loses them when the server has heard nothing for 25 s, and has ended its work by then.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable

import psycopg
import structlog

from stream.database import CONNECT_S, explained
from stream.engine.patience import insist

log = structlog.get_logger()

_LOOK_S = 1.0
_ANSWER_S = 10.0
_JOBS = 0x6A6F6273  # "jobs" in ASCII: the lock's first key; the second names the schema
_ALIVE = "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=3 -c tcp_keepalives_count=5"


async def lead(
    dsn: str, schema: str, work: Callable[[], Awaitable[None]], stop: asyncio.Event
) -> None:
    """Run `work` while this process is the leader, and wait while another is, until `stop`.

    `work` is cancelled when the lock is lost, and when it is to stop.

    Raises Refused where the database refuses us, and what `work` raises.
    """
    stopping = asyncio.create_task(stop.wait())
    try:
        while not stop.is_set():
            connection = await _unless(stopping, insist(lambda: _connected(dsn), "the database"))
            if connection is None:
                return
            try:
                await _lead_once(connection, schema, work, stopping)
            except psycopg.OperationalError as error:
                log.warning("no leader any more: its connection is gone", why=str(error).strip())
            finally:
                await connection.close()
    finally:
        stopping.cancel()


async def _lead_once(
    connection: psycopg.AsyncConnection,
    schema: str,
    work: Callable[[], Awaitable[None]],
    stopping: asyncio.Task[bool],
) -> None:
    keys = [_JOBS, zlib.crc32(schema.encode()) - (1 << 31)]
    waits = False
    while not await _one(connection, "SELECT pg_try_advisory_lock(%s, %s)", keys):
        if not waits:
            log.info("another process leads, waiting", schema=schema)
        waits = True
        if await _stopped(stopping):
            return
    log.info("leader", schema=schema)
    working = asyncio.ensure_future(work())
    try:
        while not await _stopped(stopping):
            if working.done():
                working.result()
                return
            await _one(connection, "SELECT true", [])
    finally:
        working.cancel()
        await asyncio.wait({working})


async def _connected(dsn: str) -> psycopg.AsyncConnection:
    try:
        return await psycopg.AsyncConnection.connect(
            dsn, autocommit=True, connect_timeout=CONNECT_S, options=_ALIVE
        )
    except psycopg.OperationalError as error:
        raise explained(error) from None


async def _one(connection: psycopg.AsyncConnection, query: str, given: list[int]) -> bool:
    try:
        async with asyncio.timeout(_ANSWER_S):
            row = await (await connection.execute(query.encode(), given)).fetchone()
    except TimeoutError:
        raise psycopg.OperationalError(f"no answer within {_ANSWER_S:g} s") from None
    return row is not None and bool(row[0])


async def _stopped(stopping: asyncio.Task[bool]) -> bool:
    await asyncio.wait({stopping}, timeout=_LOOK_S)
    return stopping.done()


async def _unless(
    stopping: asyncio.Task[bool], call: Awaitable[psycopg.AsyncConnection]
) -> psycopg.AsyncConnection | None:
    """What `call` returns; None where it is to stop first."""
    calling = asyncio.ensure_future(call)
    await asyncio.wait({stopping, calling}, return_when=asyncio.FIRST_COMPLETED)
    if calling.done():
        return calling.result()
    calling.cancel()
    await asyncio.wait({calling})
    return None
