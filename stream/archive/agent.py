"""The archive role: every topic of the namespace, read and written to SQL.

Where it stands is in the database, in the transaction of the rows: rows are there exactly once
whatever dies when, and a database restored from a backup catches up by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import structlog
from faust.types.tuples import TP

from stream import metrics
from stream.archive.sink import Chunk, Sink
from stream.archive.tables import ARCHIVED, READ_ELSEWHERE
from stream.archive.writer import Writer
from stream.engine.faust_app import build_app, crash_of, start_app
from stream.engine.signals import stop_on_signals
from stream.engine.topics import retention_s, topic_ids
from stream.errors import Unavailable
from stream.settings import Settings

log = structlog.get_logger()

_ROLE = "archive"
_STOP_S = 4.0
_WATCH_S = 5.0


class Archive:
    """One archive process: its app, its writer, and where each partition starts."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._logical = {settings.topic(name): name for name in ARCHIVED}
        self._ids: dict[str, str] = {}
        sink = Sink(
            settings.database.get_secret_value(),
            settings.namespace,
            read_elsewhere=READ_ELSEWHERE | {settings.tape},
        )
        self._writer = Writer(sink, on_written=_count, read_again=self._read_again)
        self._next: dict[TP, int] = {}  # where the next chunk of a partition starts
        self._left_epoch = -1  # chunks of it are read again
        self._app = build_app(
            settings, _ROLE, ARCHIVED, feed=self._feed, resume=self._resume, revoke=self._revoke
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop`; raises what ended the role otherwise."""
        tasks: set[asyncio.Task[Any]] = set()
        try:
            await start_app(self._app)
            tasks |= {
                asyncio.create_task(stop.wait()),
                asyncio.create_task(self._writer.run()),
                asyncio.create_task(crash_of(self._app)),
                asyncio.create_task(self._watch_lag()),
            }
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await self._writer.close()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._app.stop(), _STOP_S)

    async def _watch_lag(self) -> None:
        """Say how old the oldest record is that only the broker has yet, and when it goes there."""
        try:
            for topic, kept_s in (await retention_s(self._settings)).items():
                metrics.RETENTION_S.labels(topic).set(kept_s)
        except Unavailable as error:
            log.warning("no alert before the broker's retention: it is not told", why=str(error))
        while True:
            oldest = self._writer.oldest_ms()
            for topic in ARCHIVED:
                behind_s = time.time() - oldest[topic] / 1000 if topic in oldest else 0.0
                metrics.BEHIND_S.labels(topic).set(behind_s)
            await asyncio.sleep(_WATCH_S)

    async def _resume(self, assigned: set[TP]) -> Mapping[TP, int]:
        """The stored position of each partition; 0 for a topic made anew or never read."""
        self._ids = await topic_ids(self._settings)
        stored = await self._writer.positions(list(self._ids.values()))
        earliest = await self._app.consumer.earliest_offsets(*assigned)
        start = {}
        self._next = {tp: stored.get((self._id(tp.topic), tp.partition), 0) for tp in assigned}
        for tp, position in self._next.items():
            start[tp] = max(position, int(earliest.get(tp) or 0))
            if 0 < position < start[tp]:
                log.error(
                    "records are gone from the log before they were archived",
                    topic=tp.topic,
                    partition=tp.partition,
                    first=position,
                    last=start[tp] - 1,
                )
        return start

    async def _read_again(self) -> None:
        consumer = self._app.consumer
        self._left_epoch = consumer.epoch
        await consumer.seek_all(await self._resume(set(consumer.assignment())))

    async def _revoke(self, revoked: set[TP]) -> None:
        """Nothing to give up: what two processes write is there once."""

    def _feed(self, message: Any) -> None:
        """Hand one chunk to the writer, and its room back once the database has it."""
        consumer, tp, records, epoch = self._app.consumer, message.tp, message.value, message.epoch
        # Of an older assignment: chunks before it may have been dropped, and positions never
        # pass over a gap.
        if epoch != consumer.epoch or epoch == self._left_epoch:
            return
        last = records[-1].offset
        start, self._next[tp] = self._next[tp], last + 1

        def acknowledge() -> None:
            if epoch == consumer.epoch:
                consumer.acknowledge(tp, last, len(records))

        topic = self._logical[tp.topic]
        chunk = Chunk(topic, self._id(tp.topic), tp.partition, records, start, last + 1)
        self._writer.put(chunk, acknowledge)

    def _id(self, topic: str) -> str:
        return self._ids[self._logical[topic]]


async def run_archive(settings: Settings, *, stop: asyncio.Event | None = None) -> None:
    """Run the role until `stop`, SIGTERM or SIGINT. The schema must be there (`migrate`).

    Raises
    ------
    Refused
        The schema does not fit what this code writes.
    """
    stop = stop or asyncio.Event()
    stop_on_signals(stop)
    log.info("role starts", role=_ROLE, namespace=settings.namespace)
    await Archive(settings).run(stop)
    log.info("role stopped", role=_ROLE)


def _count(counts: Counter[str]) -> None:
    for table, n in counts.items():
        if table == "rejected":
            metrics.RECORDS.labels(_ROLE, "all", "rejected").inc(n)
        else:
            metrics.ROWS.labels(table).inc(n)
