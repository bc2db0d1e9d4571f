"""Gathers chunks into batches and writes them until the database has them, then acknowledges."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import structlog

from stream.archive.sink import Behind, Chunk, Sink
from stream.engine.patience import insist

log = structlog.get_logger()

MAX_RECORDS = 10_000
_ENOUGH = 5_000  # records worth a write without waiting for more
MAX_WAIT_S = 0.1  # half of what a loader may wait for an acknowledgement; the rest is the commit
_CLOSE_S = 2.0
T = TypeVar("T")


class Writer:
    """Owns a sink and the thread that it works in; what is pending is bounded by who puts.

    `read_again` is awaited when the database turns out to stand before what is pending: it seeks
    to `positions`. What was put before is forgotten then, and not acknowledged.
    """

    def __init__(
        self,
        sink: Sink,
        *,
        on_written: Callable[[Counter[str]], None],
        read_again: Callable[[], Awaitable[None]],
    ) -> None:
        self._sink = sink
        self._read_again = read_again
        self._on_written = on_written
        self._pending: deque[tuple[Chunk, Callable[[], None]]] = deque()
        self._in_hand: list[tuple[Chunk, Callable[[], None]]] = []
        self._n_pending = 0
        self._arrived = asyncio.Event()
        self._full = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "archive-sink")

    async def positions(self, topic_ids: list[str]) -> dict[tuple[str, int], int]:
        """See `Sink.positions`; waits for a database that is away."""
        return await self._insist(partial(self._sink.positions, topic_ids))

    def oldest_ms(self) -> dict[str, int]:
        """For each topic that waits, the Kafka time of its oldest record not in the database."""
        oldest: dict[str, int] = {}
        for chunk, _ in (*self._in_hand, *self._pending):
            if chunk.records:
                at_ms = chunk.records[0].timestamp
                oldest[chunk.topic] = min(oldest.get(chunk.topic, at_ms), at_ms)
        return oldest

    def put(self, chunk: Chunk, acknowledge: Callable[[], None]) -> None:
        """Take `chunk`; `acknowledge` is called, on the loop, once the database has it."""
        self._pending.append((chunk, acknowledge))
        self._n_pending += len(chunk.records)
        self._arrived.set()
        if self._n_pending >= _ENOUGH:
            self._full.set()

    async def run(self) -> None:
        """Write batches until cancelled. Raises Refused when the schema does not fit."""
        while True:
            await self._arrived.wait()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._full.wait(), MAX_WAIT_S)
            batch = self._in_hand = self._take()
            try:
                counts = await self._insist(partial(self._sink.write, [c for c, _ in batch]))
            except Behind as behind:
                log.warning("the database went back, reading again", why=str(behind))
                self._forget()
                await self._read_again()
                continue
            self._in_hand = []
            for _, acknowledge in batch:
                acknowledge()
            self._on_written(counts)

    async def close(self) -> None:
        """End thread and connection; a write under way has two seconds, then it is cancelled."""
        closed = asyncio.get_running_loop().run_in_executor(self._thread, self._sink.close)
        done, _ = await asyncio.wait({closed}, timeout=_CLOSE_S)
        if not done:
            self._sink.cancel()
            await closed
        self._thread.shutdown(wait=False)

    def _take(self) -> list[tuple[Chunk, Callable[[], None]]]:
        batch: list[tuple[Chunk, Callable[[], None]]] = []
        n_records = 0
        while self._pending and (
            not batch or n_records + len(self._pending[0][0].records) <= MAX_RECORDS
        ):
            batch.append(self._pending.popleft())
            n_records += len(batch[-1][0].records)
        self._n_pending -= n_records
        if not self._pending:
            self._arrived.clear()
        if self._n_pending < _ENOUGH:
            self._full.clear()
        return batch

    def _forget(self) -> None:
        self._pending.clear()
        self._in_hand = []
        self._n_pending = 0
        self._arrived.clear()
        self._full.clear()

    async def _insist(self, call: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        return await insist(lambda: loop.run_in_executor(self._thread, call), "the database")
