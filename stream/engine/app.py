"""A role's life: partitions opened, revoked and opened again, errors to an end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from functools import partial
from typing import Any

import aiokafka.errors
import structlog
from faust.types.tuples import TP

from stream.engine.faust_app import build_app, crash_of, start_app
from stream.engine.patience import insist
from stream.engine.signals import stop_on_signals
from stream.engine.step import RoleSpec
from stream.engine.worker import PartitionWorker
from stream.errors import Refused, Unavailable
from stream.settings import Settings

log = structlog.get_logger()

_STOP_S = 4.0
_REOPEN_S = 0.5
_REOPENED_S = 60.0  # a partition held for longer than this ends the role: it starts again
_LOST_IN_A_ROW = 5  # failed transactions of a partition without a commit between end the role


class Engine:
    """Runs one transactional role on the partitions that its group assigns."""

    def __init__(self, settings: Settings, spec: RoleSpec) -> None:
        self._settings = settings
        self._spec = spec
        self._workers: dict[int, PartitionWorker] = {}
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._reopening: dict[int, asyncio.Task[None]] = {}
        self._n_lost: dict[int, int] = {}
        self._stopping = False
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
        stopping = asyncio.create_task(stop.wait())
        crashed = asyncio.create_task(crash_of(self.app))
        try:
            await start_app(self.app)
            waited: set[asyncio.Future[Any]] = {stopping, crashed, self._over}
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            for ended in (self._over, crashed):
                if ended.done():
                    ended.result()
        finally:
            stopping.cancel()
            crashed.cancel()
            await self._stop()

    async def _stop(self) -> None:
        self._stopping = True
        await self._give_up_reopening(set(self._reopening))
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
        if worker is not None and self.app.consumer.is_current(chunk.tp, chunk.epoch):
            worker.feed(self._logical[chunk.topic], chunk.value)

    async def _resume(self, assigned: set[TP]) -> Mapping[TP, int]:
        by_partition: dict[int, set[str]] = {}
        for tp in assigned:
            by_partition.setdefault(tp.partition, set()).add(self._logical[tp.topic])
        for partition, topics in by_partition.items():
            if missing := set(self._spec.inputs) - topics:
                raise Refused(
                    f"{self._spec.name}: expected partition {partition} of every input, got it "
                    f"without {', '.join(sorted(missing))}; give all topics of the namespace one "
                    "partition count"
                )
        await self._give_up_reopening(set(self._reopening))
        opening = [asyncio.create_task(self._open(p)) for p in sorted(by_partition)]
        # All of them to an end first: one that opens after the engine stopped would never close.
        await asyncio.gather(*opening, return_exceptions=True)
        return {tp: offset for task in opening for tp, offset in task.result().items()}

    async def _open(self, partition: int) -> dict[TP, int]:
        """A fresh worker with the state of the last checkpoint, and where its inputs go on."""
        old = self._workers.pop(partition, None)
        if old is not None:
            await old.close(commit=False)
        worker = PartitionWorker(
            self._settings,
            self._spec,
            partition,
            missing=lambda topic: self.app.consumer.missing(self._tp(topic, partition)),
            acknowledge=lambda topic, offset, n: self._acknowledge(partition, topic, offset, n),
            failed=self._fail,
            lost=self._lost,
        )
        try:
            starts = await self._starts(partition, await worker.open())
        except BaseException:
            await worker.close(commit=False)
            raise
        self._workers[partition] = worker
        return starts

    async def _starts(self, partition: int, positions: Mapping[str, int]) -> dict[TP, int]:
        tps = {topic: self._tp(topic, partition) for topic in self._spec.inputs}
        earliest = await self.app.consumer.earliest_offsets(*tps.values())
        ends = await self.app.consumer.highwaters(*tps.values())
        starts = {}
        for topic, tp in tps.items():
            first, end = int(earliest.get(tp) or 0), int(ends.get(tp) or 0)
            starts[tp] = positions.get(topic, first)
            if not first <= starts[tp] <= end:
                raise Refused(
                    f"{tp.topic} partition {partition}: the state goes on at offset {starts[tp]}, "
                    f"expected it in what the log holds, {first} to {end}: records are gone, or "
                    "the topic was made anew; start a new namespace to score from here on"
                )
        return starts

    async def _revoke(self, revoked: set[TP]) -> None:
        gone = {tp.partition for tp in revoked}
        await self._give_up_reopening(gone)
        workers = [self._workers.pop(p) for p in gone if p in self._workers]
        try:
            await asyncio.gather(*(worker.close(commit=True) for worker in workers))
        except Exception as error:
            self._fail(error)

    # -- what workers call -------------------------------------------------------------------

    def _acknowledge(self, partition: int, topic: str, offset: int, n: int) -> None:
        self._n_lost.pop(partition, None)
        self.app.consumer.acknowledge(self._tp(topic, partition), offset, n)

    def _fail(self, error: BaseException) -> None:
        if not self._over.done():
            log.error("role ends uncommitted", role=self._spec.name, why=repr(error))
            self._over.set_exception(error)

    def _lost(self, partition: int, error: BaseException) -> None:
        """Forget the partition's state and take it from the log again; end if that never helps."""
        if self._stopping or partition not in self._workers:
            return  # given up meanwhile: to open it again would fence whoever has it now
        n_lost = self._n_lost[partition] = self._n_lost.get(partition, 0) + 1
        if n_lost > _LOST_IN_A_ROW:
            self._fail(error)
            return
        self.app.consumer.hold({self._tp(topic, partition) for topic in self._spec.inputs})
        reopening = asyncio.create_task(self._open_again(partition, n_lost))
        self._reopening[partition] = reopening
        limit = asyncio.get_running_loop().call_later(
            _REOPENED_S,
            self._fail,
            Unavailable(f"partition {partition} could not be opened within {_REOPENED_S:g} s"),
        )
        reopening.add_done_callback(lambda _: limit.cancel())

    async def _open_again(self, partition: int, n_lost: int) -> None:
        await asyncio.sleep(_REOPEN_S * (n_lost - 1))
        again = partial(self._open_and_seek, partition)
        try:
            await insist(again, f"partition {partition}", longest_pause_s=_REOPEN_S)
        except Exception as error:
            self._fail(error)

    async def _open_and_seek(self, partition: int) -> None:
        try:
            await self.app.consumer.seek_all(await self._open(partition))
        except aiokafka.errors.KafkaError as error:
            raise Unavailable(f"TAPEWIRE_BROKER={self._settings.broker}: {error}") from error

    async def _give_up_reopening(self, partitions: set[int]) -> None:
        tasks = [self._reopening.pop(p) for p in partitions if p in self._reopening]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _tp(self, topic: str, partition: int) -> TP:
        return TP(self._settings.topic(topic), partition)


async def run_role(
    settings: Settings, spec: RoleSpec, *, stop: asyncio.Event | None = None
) -> None:
    """Run a transactional role until `stop`, SIGTERM or SIGINT.

    Raises whatever ended it otherwise; nothing after the last checkpoint has been committed.

    Raises
    ------
    Refused
        Partitions, positions or the state do not fit what is on the broker.
    """
    stop = stop or asyncio.Event()
    stop_on_signals(stop)
    log.info("role starts", role=spec.name, namespace=settings.namespace)
    await Engine(settings, spec).run(stop)
    log.info("role stopped", role=spec.name)
