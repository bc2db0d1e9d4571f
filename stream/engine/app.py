"""A role as a Faust app: chunks to partition workers, assignments to restores, errors to an end."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import aiokafka.errors
import faust
import structlog
from faust.types.tuples import TP

from stream.engine.quiet import quiet_client_logs
from stream.engine.signals import stop_on_signals
from stream.engine.step import RoleSpec
from stream.engine.transport import Transport
from stream.engine.worker import PartitionWorker, refuse_partial
from stream.settings import Settings

log = structlog.get_logger()

_STOP_S = 4.0
_COMMIT_S = 0.1  # how far behind the group's committed offsets may be: loaders watch them
_SESSION_S = 6.0
_REOPEN_S = 0.5


def build_app(
    settings: Settings,
    role: str,
    inputs: tuple[str, ...],
    *,
    feed: Callable[[Any], None],
    resume: Callable[[set[TP]], Awaitable[Mapping[TP, int]]],
    revoke: Callable[[set[TP]], Awaitable[None]],
) -> faust.App:
    """A Faust app whose one agent hands every chunk of `inputs` to `feed`."""
    quiet_client_logs()
    app = faust.App(
        settings.group(role),
        broker=f"kafka://{settings.broker}",
        store="memory://",
        datadir=tempfile.mkdtemp(prefix="tapewire-faust-"),
        topic_partitions=settings.partitions,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        broker_commit_interval=_COMMIT_S,
        broker_check_crcs=not settings.embedded,
        broker_commit_livelock_soft_timeout=1e9,
        broker_session_timeout=_SESSION_S,
        broker_heartbeat_interval=1.0,
        broker_rebalance_timeout=30.0,
        stream_wait_empty=False,
        consumer_auto_offset_reset="earliest",
    )
    app.transport = Transport(
        app.conf.broker,
        app,
        isolation="read_uncommitted" if settings.embedded else "read_committed",
        resume=resume,
        revoke=revoke,
    )
    topics = [settings.topic(name) for name in inputs]
    source = app.topic(*topics, key_serializer="raw", value_serializer="raw")

    async def chunks(stream: Any) -> None:
        async for event in stream.noack().events():
            feed(event.message)

    app.agent(source, name=f"{role}-chunks")(chunks)
    return app


class Engine:
    """Runs one transactional role on the partitions that its group assigns."""

    def __init__(self, settings: Settings, spec: RoleSpec) -> None:
        self._settings = settings
        self._spec = spec
        self._workers: dict[int, PartitionWorker] = {}
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._reopening: set[asyncio.Task[None]] = set()
        self._logical = {settings.topic(name): name for name in spec.inputs}
        self.app = build_app(
            settings,
            spec.name,
            spec.inputs,
            feed=self._feed,
            resume=self._resume,
            revoke=self._revoke,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop`; raises what ended the role otherwise, with nothing half committed."""
        await self.app.start()
        stopping = asyncio.create_task(stop.wait())
        crashed = asyncio.create_task(self._watch_crash())
        try:
            await asyncio.wait({stopping, crashed, self._over}, return_when=asyncio.FIRST_COMPLETED)
            for ended in (self._over, crashed):
                if ended.done():
                    ended.result()
        finally:
            for task in (stopping, crashed, *self._reopening):
                task.cancel()
            await self._stop()

    async def _watch_crash(self) -> None:
        while self.app.crash_reason is None:  # noqa: ASYNC110 - Faust sets no event
            await asyncio.sleep(0.1)
        raise self.app.crash_reason

    async def _stop(self) -> None:
        workers, self._workers = self._workers, {}
        fine = not self._over.done() and self.app.crash_reason is None
        await asyncio.gather(*(worker.close(commit=fine) for worker in workers.values()))
        with contextlib.suppress(Exception):
            await asyncio.wait_for(self.app.consumer.commit(), 1.0)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.app.stop(), _STOP_S)

    # -- what the transport calls ----------------------------------------------------------

    def _feed(self, chunk: Any) -> None:
        worker = self._workers.get(chunk.partition)
        if worker is None or chunk.epoch != self.app.consumer.epoch:
            self.app.consumer.release(chunk.tp, len(chunk.value))
            return
        worker.feed(self._logical[chunk.topic], chunk.value)

    async def _resume(self, assigned: set[TP]) -> Mapping[TP, int]:
        by_partition: dict[int, set[str]] = {}
        for tp in assigned:
            if tp.topic in self._logical:
                by_partition.setdefault(tp.partition, set()).add(self._logical[tp.topic])
        for partition, topics in by_partition.items():
            if missing := set(self._spec.inputs) - topics:
                raise refuse_partial(partition, self._spec.name, missing)
        found = await asyncio.gather(*(self._open(p) for p in sorted(by_partition)))
        return {tp: offset for positions in found for tp, offset in positions.items()}

    async def _open(self, partition: int) -> dict[TP, int]:
        old = self._workers.pop(partition, None)
        if old is not None:
            await old.close(commit=False)
        worker = PartitionWorker(
            self._settings,
            self._spec,
            partition,
            behind=lambda topic: self.app.consumer.behind(self._tp(topic, partition)),
            acknowledge=lambda topic, offset, n: self.app.consumer.acknowledge(
                self._tp(topic, partition), offset, n
            ),
            failed=self._fail,
            reopen=self._reopen,
        )
        positions = dict(await worker.open())
        self._workers[partition] = worker
        tps = [self._tp(topic, partition) for topic in self._spec.inputs]
        earliest = await self.app.consumer.earliest_offsets(*tps)
        result = {}
        for topic, tp in zip(self._spec.inputs, tps, strict=True):
            start = int(earliest.get(tp) or 0)
            result[tp] = positions.get(topic, start)
            if result[tp] < start:
                raise ValueError(
                    f"{tp.topic} partition {partition}: state needs offset {result[tp]}, the log "
                    f"starts at {start}: records in between are gone; lengthen the retention, and "
                    "start a new namespace to score from here on"
                )
        return result

    async def _revoke(self, revoked: set[TP]) -> None:
        gone = {tp.partition for tp in revoked}
        workers = [self._workers.pop(p) for p in gone if p in self._workers]
        await asyncio.gather(*(worker.close(commit=True) for worker in workers))

    # -- what workers call -------------------------------------------------------------------

    def _fail(self, error: BaseException) -> None:
        if not self._over.done():
            self._over.set_exception(error)

    def _reopen(self, partition: int) -> None:
        task = asyncio.create_task(self._open_again(partition))
        self._reopening.add(task)
        task.add_done_callback(self._reopening.discard)

    async def _open_again(self, partition: int) -> None:
        while partition in self._workers:
            try:
                positions = await self._open(partition)
            except aiokafka.errors.KafkaError as error:
                log.warning("partition not opened yet", partition=partition, why=repr(error))
                await asyncio.sleep(_REOPEN_S)
            except Exception as error:
                self._fail(error)
                return
            else:
                await self.app.consumer.seek_all(positions)
                return

    def _tp(self, topic: str, partition: int) -> TP:
        return TP(self._settings.topic(topic), partition)


async def run_role(
    settings: Settings, spec: RoleSpec, *, stop: asyncio.Event | None = None
) -> None:
    """Run a transactional role until `stop`, SIGTERM or SIGINT.

    Raises whatever ended it otherwise; nothing after the last checkpoint has been committed.
    """
    stop = stop or asyncio.Event()
    stop_on_signals(stop)
    log.info("role starts", role=spec.name, namespace=settings.namespace)
    await Engine(settings, spec).run(stop)
    log.info("role stopped", role=spec.name)
