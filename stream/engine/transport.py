"""A Faust transport that delivers chunks: one event for all that a fetch gave of a partition.

`event.value` is the list of aiokafka records. The role owns positions: it says where to start
(`resume`), hears of revocations (`revoke`) and acknowledges (`Consumer.acknowledge`); the
group's committed offsets follow, for lag monitors only. Written for faust-streaming 0.15.3.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import aiokafka
import structlog
from aiokafka.errors import KafkaError
from faust.transport.consumer import ensure_TPset
from faust.transport.drivers import aiokafka as driver
from faust.types.tuples import TP, ConsumerMessage
from mode import Service

from stream.engine.lookout import Lookout
from stream.engine.pending import Pending
from stream.errors import Unavailable

log = structlog.get_logger()

MAX_RECORDS = 2_000  # of one fetch
FETCH_WAIT_MS = 10  # 5 costs a tenth of a core in empty answers; Faust waits 1,500
FETCH_MIN_BYTES = 1 << 16  # what comes within the wait comes in one answer, for all partitions
_POLL_S = 0.25
_FULL_POLL_S = 0.02  # a fetch cannot be cut short when a full partition has room again
_ENDS_S = 10.0  # for the broker to say where its logs end

Resume = Callable[[set[TP]], Awaitable[Mapping[TP, int]]]
Revoke = Callable[[set[TP]], Awaitable[None]]


class Chunk(ConsumerMessage):  # type: ignore[misc]
    """Consecutive records of one partition, in `value`; `epoch` tells when it was fetched."""

    __slots__ = ("epoch",)
    epoch: int


class ConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """Faust's consumer thread with our fetch settings and isolation."""

    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = transport.isolation
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        consumer._fetch_min_bytes = FETCH_MIN_BYTES
        consumer._max_poll_records = MAX_RECORDS
        return consumer

    def missing(self, tp: TP) -> int | None:
        """How many offsets the broker is known to hold that were not handed out; None unknown."""
        state = self._state(tp)
        if state is None:
            return None
        end = state.lso if self.transport.isolation == "read_committed" else state.highwater
        return None if end is None else max(0, int(end - state.position))

    def reached(self, tp: TP) -> int | None:
        """The next offset to fetch: past transaction markers, which are never handed out."""
        state = self._state(tp)
        return None if state is None else int(state.position)

    def _state(self, tp: TP) -> Any:
        subscription = self._ensure_consumer()._subscription.subscription
        state = subscription and subscription.assignment and subscription.assignment.state_value(tp)
        return state if state and state.has_valid_position else None


class Consumer(driver.Consumer):  # type: ignore[misc]
    """Delivers chunks in order, bounded by what is acknowledged."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.epoch = 0  # raised by every revocation, hold and seek
        self._since: dict[TP, int] = {}  # chunks of earlier epochs count for nothing
        self._held: set[TP] = set()
        self._seeking = asyncio.Lock()
        self._pending: defaultdict[TP, Pending] = defaultdict(Pending)
        self._room = asyncio.Event()
        self._done: dict[TP, int] = {}
        self._idle_at: dict[TP, int] = {}  # where a partition with nothing pending stands
        self.handed_out: dict[TP, int] = {}
        self._lookout = Lookout()

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    def acknowledge(self, tp: TP, last_offset: int, n_records: int) -> None:
        """All records of `tp` through `last_offset` are in the log or the database."""
        self._done[tp] = last_offset
        self._pending[tp].acknowledge(last_offset, n_records)
        self._room.set()

    def ack(self, message: Any) -> bool:
        return True

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> list[TP]:
        return list(self._done)

    def _new_offset(self, tp: TP) -> int | None:
        done = self._done.get(tp)
        return None if done is None else max(done + 1, self._idle_at.get(tp, 0))

    async def wait_empty(self) -> None:
        """Nothing of Faust's is in flight; the engine finishes its own on `revoke`."""

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Let the engine commit what it has, then forget the partitions."""
        self.hold(revoked)
        self.stop_flow()
        self._lookout.rebalancing()
        if revoked:
            await self.transport.revoke(revoked)
        try:
            await self.commit()
        except Exception as error:
            log.warning("group offsets not committed", why=repr(error))
        for tp in revoked:
            for known in (self._pending, self._done, self._idle_at, self.handed_out):
                known.pop(tp, None)
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Faust seeks only where there is something to seek."""
        await super().on_partitions_assigned(assigned, generation_id)
        if not assigned:
            self._lookout.assigned_nothing()

    def hold(self, tps: set[TP]) -> None:
        """Deliver nothing of `tps` until a seek; what is on its way counts for nothing."""
        self.epoch += 1
        self._held.update(tps)
        self._since.update(dict.fromkeys(tps, self.epoch))

    def is_current(self, tp: TP, epoch: int) -> bool:
        """Whether a chunk fetched in `epoch` is of the last seek's reading of `tp`."""
        return epoch >= self._since.get(tp, 0)

    async def perform_seek(self) -> None:
        """Start every assigned partition where the engine's own records say."""
        assigned = set(self.assignment())
        try:
            positions = await self.transport.resume(assigned)
        except Exception as error:
            await self.app.crash(error)
            raise
        await self.seek_all(positions)
        self._lookout.sought()

    async def seek_all(self, positions: Mapping[TP, int]) -> None:
        """Seek with no fetch under way, so that no record of before the seek is delivered."""
        async with self._seeking:
            self.epoch += 1
            for tp, offset in positions.items():
                self._since[tp] = self.epoch
                self._held.discard(tp)
                self._pending[tp] = Pending()
                self._done[tp] = offset - 1
                self._idle_at.pop(tp, None)
                self.handed_out[tp] = offset - 1
                self._read_offset[tp] = offset
                await self._seek(tp, offset)
            self._room.set()

    def missing(self, tp: TP) -> int | None:
        """How many offsets of `tp` were not handed out yet; None while that is not known."""
        missing: int | None = self._thread.missing(tp)
        return missing

    async def _drain_messages(self, fetcher: Any) -> None:
        stopped, fetcher_stopped = self._stopped.is_set, fetcher._stopped.is_set
        try:
            while not (stopped() or fetcher_stopped()):
                async with self._seeking:
                    epoch = self.epoch
                    fetched = await self._fetch_where_room()
                if not fetched:
                    await asyncio.sleep(0)
                    continue
                for tp, records in fetched.items():
                    if records and self.flow_active and self.is_current(tp, epoch):
                        self._pending[tp].add(records)
                        self.handed_out[tp] = records[-1].offset
                        await self.callback(_chunk(tp, records, epoch, self.app))
        except self.consumer_stopped_errors:
            if not self.app.should_stop:
                raise
        except asyncio.CancelledError:
            if not self.app.should_stop:
                raise

    async def _fetch_where_room(self) -> Mapping[TP, list[Any]]:
        """Records of the partitions that have room: a full one does not hold up the others."""
        if not self.flow_active:
            await asyncio.sleep(0.01)
            return {}
        wanted = {tp for tp in self._get_active_partitions() if tp not in self._held}
        active = {tp for tp in wanted if not self._pending[tp].full}
        if not active:
            self._room.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._room.wait(), _POLL_S)
            return {}
        poll_s = _POLL_S if active == wanted else _FULL_POLL_S
        fetched: Mapping[TP, list[Any]] = await self._getmany(active, poll_s)
        for tp in self._done.keys() - fetched.keys():
            if not self._pending[tp]:
                self._idle_at[tp] = self._thread.reached(tp) or 0
        return fetched

    @Service.task  # type: ignore[untyped-decorator]
    async def _watch(self) -> None:
        """End a worker that reads nothing though it should: it starts again, and that heals it."""
        while not self.should_stop:
            await self.sleep(1.0)
            if self.app.should_stop:
                return
            consumer = self._thread._consumer
            try:
                if consumer is not None and consumer._coordinator is not None:
                    consumer._coordinator.check_errors()  # Faust never asks whether it died
                if self._thread._thread is not None and not self._thread._thread.is_alive():
                    raise Unavailable("the consumer's thread has ended")
                if self._lookout.second(flows=self.flow_active):
                    await self._look_at_ends()
            except Exception as error:
                await self.app.crash(error)
                return

    async def _look_at_ends(self) -> None:
        """Raises Unavailable where records wait that the client does not fetch."""
        waiting = {
            tp: self._thread.reached(tp) or last + 1
            for tp, last in self.handed_out.items()
            if self.flow_active and not self._pending[tp] and tp not in self._held
        }
        ends: Mapping[TP, int] = {}
        # Without an answer nothing is known: a broker that is away is waited for.
        with contextlib.suppress(KafkaError, TimeoutError):
            async with asyncio.timeout(_ENDS_S):
                ends = await self.highwaters(*waiting) if waiting else {}
        self._lookout.look(waiting, ends)


class Transport(driver.Transport):  # type: ignore[misc]
    """Chunks for an app; `resume` and `revoke` are the engine's."""

    Consumer = Consumer

    def __init__(
        self, url: Any, app: Any, *, isolation: str, resume: Resume, revoke: Revoke
    ) -> None:
        self.isolation = isolation
        self.resume = resume
        self.revoke = revoke
        super().__init__([url] if not isinstance(url, list) else url, app)


def _chunk(tp: TP, records: list[Any], epoch: int, app: Any) -> Chunk:
    first, last = records[0], records[-1]
    chunk = Chunk(
        tp.topic,
        tp.partition,
        last.offset,
        first.timestamp / 1000.0,
        first.timestamp_type,
        None,
        None,
        records,
        None,
        0,
        0,
        ensure_TPset([tp]).pop(),
        generation_id=app.consumer_generation_id,
    )
    chunk.epoch = epoch
    return chunk
