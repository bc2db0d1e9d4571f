"""One partition of one role: queue, merge, apply, checkpoint."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable, Mapping

import structlog
from aiokafka.errors import IllegalOperation, KafkaError

from stream import metrics
from stream.engine.checkpoint import Meta, PartitionProducer, read_state
from stream.engine.deadletters import dead_letter
from stream.engine.merge import Queue, next_run
from stream.engine.step import NotYet, Outcome, Record, RoleSpec, Step
from stream.errors import Rejected, Unavailable
from stream.settings import Settings

log = structlog.get_logger()

CHECKPOINT_RECORDS = 8_000  # of one partition: half of what the transport delivers ahead
LOST = (KafkaError, IllegalOperation)  # the second: a producer that learnt of its fence alone
COMMIT_SHARE = 0.2  # of the time at most: a partition stands still while it commits
_LOOK_AGAIN_S = 0.005
_BEHIND_S = 0.25
_CLOSE_S = 1.5
_HELD_LOG_S = 10.0
_HELD_S = 60.0  # for another input, which takes milliseconds where its role runs


class PartitionWorker:
    """Owns the partition's state from assignment to revocation, or to a lost transaction."""

    def __init__(
        self,
        settings: Settings,
        spec: RoleSpec,
        partition: int,
        *,
        missing: Callable[[str], int | None],
        acknowledge: Callable[[str, int, int], None],
        failed: Callable[[BaseException], None],
        lost: Callable[[int, BaseException], None],
    ) -> None:
        self.partition = partition
        self._settings = settings
        self._spec = spec
        self._missing = missing
        self._acknowledge = acknowledge
        self._failed = failed
        self._lost = lost
        self._step: Step = spec.make_step(partition)
        self._producer = PartitionProducer(settings, spec.name, partition)
        self._queues = {topic: Queue(topic) for topic in spec.inputs}
        self._replay = settings.mode == "replay"
        for topic in spec.inputs:  # a counter that starts above 0 has no increase to alert on
            for outcome in (*(each.value for each in Outcome), "dead"):
                metrics.RECORDS.labels(spec.name, topic, outcome)
        self._meta = Meta()
        self._unacknowledged: dict[str, tuple[int, int]] = {}  # topic -> last offset, records
        self._waiting_since: float | None = None
        self._held: set[str] = set()  # topics whose next record waits for another input
        self._held_since: dict[str, float] = {}
        self._held_told: set[str] = set()
        self._last_checkpoint = -math.inf  # the first run is committed at once: it was waited for
        self._last_took = 0.0
        self._wake = asyncio.Event()
        self._task: asyncio.Task[bool] | None = None
        self._preparing: asyncio.Future[None] | None = None
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
        self._task = asyncio.create_task(self._run(), name=f"partition-{self.partition}")
        return self._meta.positions

    async def close(self, *, commit: bool) -> None:
        """Stop after the run in hand; with `commit`, one last checkpoint where all went well."""
        self._stopping = True
        self._wake.set()
        if self._preparing is not None:
            self._preparing.cancel()
        try:
            if await self._ended_well() and commit and self._unacknowledged:
                await asyncio.wait_for(self._checkpoint(), _CLOSE_S)
        except (*LOST, TimeoutError) as error:
            log.warning("last checkpoint failed", partition=self.partition, why=repr(error))
        finally:
            await self._producer.close()

    async def _ended_well(self) -> bool:
        """Whether the state is that of whole runs: after anything else it must not be written."""
        if self._task is None:
            return False
        await asyncio.wait({self._task}, timeout=_CLOSE_S)
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=_CLOSE_S)
            return False
        return not self._task.cancelled() and self._task.result()

    def feed(self, topic: str, records: list[Record]) -> None:
        """Queue a chunk; the next records of `topic`, in order."""
        self._queues[topic].records.extend(records)
        self._wake.set()

    # -- work --------------------------------------------------------------------------------

    async def _run(self) -> bool:
        try:
            while not self._stopping:
                if not await self._work():
                    await self._wait()
        except LOST as error:
            log.error(
                "transaction lost, starting again from the last checkpoint",
                role=self._spec.name,
                partition=self.partition,
                why=repr(error),
            )
            self._lost(self.partition, error)
            return False
        except Exception as error:
            self._failed(error)
            return False
        return True

    async def _work(self) -> bool:
        """Apply one run and checkpoint when due; False when there was nothing to do."""
        run = next_run(
            [queue for queue in self._queues.values() if queue.topic not in self._held],
            self._lags,
            tape=self._spec.tape,
            tape_last=self._replay,
        )
        n_applied = 0
        if run is not None:
            self._waiting_since = None
            if not await self._prepare(*run):
                return False
            n_applied = await self._apply(*run)
        if self._due(idle=n_applied == 0):
            await self._checkpoint()
            return True
        return run is not None

    async def _prepare(self, topic: str, records: list[Record]) -> bool:
        """Show the step its next records; a slow look holds up no checkpoint and no stop."""
        began = self._now()
        self._preparing = asyncio.ensure_future(self._step.prepare(topic, records))
        try:
            while not (await asyncio.wait({self._preparing}, timeout=self._until_due(idle=True)))[
                0
            ]:
                if self._due(idle=True):
                    await self._checkpoint()
            if self._preparing.cancelled():
                if self._stopping:
                    return False
                raise RuntimeError(f"{topic}: prepare was cancelled, not by the engine")
            self._preparing.result()
        finally:
            self._preparing.cancel()
            self._preparing = None
        metrics.STAGE_S.labels(self._spec.name, "prepare").observe(self._now() - began)
        return True

    async def _apply(self, topic: str, records: list[Record]) -> int:
        """Apply them, or those before the first that has to wait; how many were."""
        began = self._now()
        counts = self._meta.counts.setdefault(topic, {})
        apply, producer = self._step.apply, self._producer
        tally = dict.fromkeys(Outcome, 0)
        n_dead = 0
        held: tuple[list[Record], str] | None = None
        for n_before, record in enumerate(records):
            try:
                if record.key is None:
                    raise Rejected("key: expected one, got none")
                tally[apply(topic, record, producer)] += 1
            except NotYet as awaited:
                held, records = (records[n_before:], str(awaited)), records[:n_before]
                break
            except Rejected as rejected:
                n_dead += 1
                self._bury(topic, record, str(rejected))
        for outcome, n in (*((o.value, n) for o, n in tally.items()), ("dead", n_dead)):
            if n:
                counts[outcome] = counts.get(outcome, 0) + n
                metrics.RECORDS.labels(self._spec.name, topic, outcome).inc(n)
        if records:
            self._held.clear()
            self._held_since.pop(topic, None)
            self._held_told.discard(topic)
        if held is not None:
            self._hold(topic, *held)
        if not records:
            return 0
        last = records[-1]
        counts["delivered"] = counts.get("delivered", 0) + len(records)
        self._meta.positions[topic] = last.offset + 1
        before = self._unacknowledged.get(topic, (0, 0))[1]
        self._unacknowledged[topic] = (last.offset, before + len(records))
        metrics.STAGE_S.labels(self._spec.name, "apply").observe(self._now() - began)
        await self._producer.flush()
        await asyncio.sleep(0)
        return len(records)

    def _hold(self, topic: str, records: list[Record], awaited: str) -> None:
        """Put records back until something else came. Raises Unavailable where it never does."""
        self._queues[topic].records.extendleft(reversed(records))
        self._held.add(topic)
        held_s = self._now() - self._held_since.setdefault(topic, self._now())
        waits = f"{topic} partition {self.partition} waits for {awaited}"
        if held_s > _HELD_S:
            raise Unavailable(
                f"{waits}, for {held_s:.0f} s: is the role that sends it running in this namespace?"
            )
        if held_s > _HELD_LOG_S and topic not in self._held_told:
            self._held_told.add(topic)
            log.warning(waits, role=self._spec.name, for_s=round(held_s, 1))

    def _bury(self, topic: str, record: Record, reason: str) -> None:
        key, letter = dead_letter(self._spec.name, topic, record, reason)
        self._producer.send(
            "dead-letters",
            key,
            letter,
            partition=self.partition,
            timestamp_ms=record.timestamp if self._replay else None,
        )

    # -- checkpoints -------------------------------------------------------------------------

    def _until_due(self, *, idle: bool) -> float | None:
        """Seconds until a checkpoint is due; None while there is nothing to write."""
        if not self._unacknowledged:
            return None
        every = self._settings.checkpoint_busy_s
        many = any(n >= CHECKPOINT_RECORDS for _, n in self._unacknowledged.values())
        if many or (idle and self._producer.n_pending):
            rest = self._last_took * (1 / COMMIT_SHARE - 1)
            every = min(every, max(self._settings.checkpoint_idle_s, rest))
        return max(0.0, self._last_checkpoint + every - self._now())

    def _due(self, *, idle: bool) -> bool:
        return self._until_due(idle=idle) == 0.0

    async def _checkpoint(self) -> None:
        began = self._now()
        self._meta.step = self._step.meta()
        changes = dict(self._step.take_changes())
        metrics.SENT.labels(self._spec.name).inc(self._producer.n_pending)
        await self._producer.commit(changes, self._meta)
        done, self._unacknowledged = self._unacknowledged, {}
        for topic, (offset, n) in done.items():
            self._acknowledge(topic, offset, n)
            lag = len(self._queues[topic].records) + (self._missing(topic) or 0)
            metrics.LAG.labels(self._spec.name, topic, str(self.partition)).set(lag)
        self._last_checkpoint = self._now()
        self._last_took = self._last_checkpoint - began
        metrics.CHECKPOINT_S.labels(self._spec.name).observe(self._last_took)

    # -- waiting -----------------------------------------------------------------------------

    async def _wait(self) -> None:
        self._wake.clear()
        self._held.clear()
        if self._stopping:
            return
        queued = any(queue.records for queue in self._queues.values())
        timeout = _LOOK_AGAIN_S if queued else _BEHIND_S
        until_due = self._until_due(idle=True)
        if until_due is not None:
            timeout = max(0.001, min(timeout, until_due))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), timeout)

    def _lags(self, topic: str) -> bool:
        """Whether to wait for `topic`: it is known to have more, and has not kept us long."""
        if self._missing(topic) == 0:
            return False
        now = self._now()
        if self._waiting_since is None:
            self._waiting_since = now
        return now - self._waiting_since < _BEHIND_S

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
