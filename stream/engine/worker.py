"""One partition of one role: queue, merge, apply, checkpoint; and again from the log on a fence."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping

import aiokafka.errors
import structlog

from stream import metrics
from stream.engine.checkpoint import Meta, PartitionProducer, read_state
from stream.engine.deadletters import dead_letter
from stream.engine.merge import Queue, next_run
from stream.engine.step import Outcome, Record, RoleSpec, Step
from stream.errors import Refused, Rejected
from stream.settings import Settings

log = structlog.get_logger()

FENCED = (
    aiokafka.errors.ProducerFenced,
    aiokafka.errors.InvalidProducerEpoch,
    aiokafka.errors.OutOfOrderSequenceNumber,
    aiokafka.errors.InvalidTxnState,
    aiokafka.errors.KafkaError,
)
_LOOK_AGAIN_S = 0.005
_BEHIND_S = 0.25


class PartitionWorker:
    """Owns the partition's state from assignment to revocation."""

    def __init__(
        self,
        settings: Settings,
        spec: RoleSpec,
        partition: int,
        *,
        behind: Callable[[str], bool],
        acknowledge: Callable[[str, int, int], None],
        failed: Callable[[BaseException], None],
        reopen: Callable[[int], None],
    ) -> None:
        self.partition = partition
        self._settings = settings
        self._spec = spec
        self._behind = behind
        self._acknowledge = acknowledge
        self._failed = failed
        self._reopen = reopen
        self._step: Step = spec.make_step(partition)
        self._producer = PartitionProducer(settings, spec.name, partition)
        self._queues = {topic: Queue(topic) for topic in spec.inputs}
        self._pace = spec.tape if settings.mode == "replay" else None
        self._tape_through = -1
        self._meta = Meta()
        self._unacknowledged: dict[str, tuple[int, int]] = {}  # topic -> last offset, records
        self._waiting_since: float | None = None
        self._last_checkpoint = 0.0
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    # -- life --------------------------------------------------------------------------------

    async def open(self) -> Mapping[str, int]:
        """Fence, restore, and say where to read on: topic -> offset (only where known)."""
        await self._producer.open()
        if not self._settings.embedded:
            slots, meta = await read_state(self._settings, self._spec.name, self.partition)
            if meta is not None:
                self._meta = meta
                self._step.restore(slots, meta.step)
                log.info("restored", role=self._spec.name, partition=self.partition, n=len(slots))
        self._last_checkpoint = self._now()
        self._task = asyncio.create_task(self._run(), name=f"partition-{self.partition}")
        return self._meta.positions

    async def close(self, *, commit: bool) -> None:
        """Stop after the record in hand; with `commit`, one last checkpoint."""
        self._stopping = True
        self._wake.set()
        if self._task is not None and self._task is not asyncio.current_task():
            await asyncio.wait({self._task}, timeout=5.0)
            if not self._task.done():
                self._task.cancel()
        try:
            if commit and self._unacknowledged:
                await self._checkpoint()
        except FENCED as error:
            log.warning("last checkpoint failed", partition=self.partition, why=repr(error))
        finally:
            await self._producer.close()

    def feed(self, topic: str, records: list[Record]) -> None:
        """Queue a chunk; the next records of `topic`, in order."""
        self._queues[topic].records.extend(records)
        self._wake.set()

    # -- work --------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            while not self._stopping:
                if not await self._work():
                    await self._wait()
        except FENCED as error:
            log.error(
                "transaction lost, starting again from the last checkpoint",
                role=self._spec.name,
                partition=self.partition,
                why=repr(error),
            )
            self._reopen(self.partition)
        except Exception as error:
            self._failed(error)

    async def _work(self) -> bool:
        """Apply one run and checkpoint when due; False when there was nothing to do."""
        run = next_run(
            list(self._queues.values()),
            self._lags,
            tape=self._pace,
            tape_through=self._tape_through,
        )
        if run is not None:
            self._waiting_since = None
            await self._apply(*run)
        if self._due(idle=run is None):
            await self._checkpoint()
            return True
        return run is not None

    async def _apply(self, topic: str, records: list[Record]) -> None:
        await self._step.prepare(topic, records)
        counts = self._meta.counts.setdefault(topic, {})
        apply, producer = self._step.apply, self._producer
        tally = dict.fromkeys(Outcome, 0)
        n_dead = 0
        for record in records:
            try:
                tally[apply(topic, record, producer)] += 1
            except Rejected as rejected:
                n_dead += 1
                letter = dead_letter(self._spec.name, topic, record, str(rejected))
                producer.send("dead-letters", *letter, partition=self.partition)
        for outcome, n in (*((o.value, n) for o, n in tally.items()), ("dead", n_dead)):
            if n:
                counts[outcome] = counts.get(outcome, 0) + n
                metrics.RECORDS.labels(self._spec.name, topic, outcome).inc(n)
        last = records[-1]
        counts["delivered"] = counts.get("delivered", 0) + len(records)
        if topic == self._spec.tape:
            self._tape_through = max(self._tape_through, last.timestamp)
        self._meta.positions[topic] = last.offset + 1
        before = self._unacknowledged.get(topic, (0, 0))[1]
        self._unacknowledged[topic] = (last.offset, before + len(records))
        await self._producer.flush()
        await asyncio.sleep(0)

    def _due(self, *, idle: bool) -> bool:
        if not self._unacknowledged:
            return False
        since = self._now() - self._last_checkpoint
        if idle and self._producer.n_pending:
            return since >= self._settings.checkpoint_idle_s
        return since >= self._settings.checkpoint_busy_s

    async def _checkpoint(self) -> None:
        began = self._now()
        self._meta.step = self._step.meta()
        changes = dict(self._step.take_changes())
        metrics.SENT.labels(self._spec.name).inc(self._producer.n_pending)
        await self._producer.commit(changes, self._meta)
        done, self._unacknowledged = self._unacknowledged, {}
        for topic, (offset, n) in done.items():
            self._acknowledge(topic, offset, n)
        self._last_checkpoint = self._now()
        metrics.CHECKPOINT_S.labels(self._spec.name).observe(self._last_checkpoint - began)

    async def _wait(self) -> None:
        self._wake.clear()
        queued = any(queue.records for queue in self._queues.values())
        timeout = _LOOK_AGAIN_S if queued else _BEHIND_S
        if self._unacknowledged:
            idle = self._producer.n_pending > 0
            every = self._settings.checkpoint_idle_s if idle else self._settings.checkpoint_busy_s
            left = self._last_checkpoint + every - self._now()
            timeout = max(0.001, min(timeout, left))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), timeout)

    def _lags(self, topic: str) -> bool:
        """Whether to wait for `topic`: it is known to have more, and has not kept us long."""
        if not self._behind(topic):
            return False
        now = self._now()
        if self._waiting_since is None:
            self._waiting_since = now
        return now - self._waiting_since < _BEHIND_S

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def refuse_partial(partition: int, role: str, missing: set[str]) -> Refused:
    """The error of a partition assigned without all of its input topics."""
    return Refused(
        f"{role}: expected partition {partition} of every input, got it without "
        f"{', '.join(sorted(missing))}; give all topics of the namespace one partition count"
    )
