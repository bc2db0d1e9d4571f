"""One partition's transactional producer and its checkpoints: outputs and state, all or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import aiokafka
import msgspec
from aiokafka import AIOKafkaProducer, TopicPartition

from stream.engine.clients import client_options, reader, started
from stream.engine.topics import partition_of
from stream.errors import Rejected
from stream.settings import Settings

META_KEY = b"@meta"
TRANSACTION_TIMEOUT_MS = 10_000
_BATCH_BYTES = 1 << 20
MAX_RECORD_BYTES = _BATCH_BYTES - 1_024  # key and value; the rest is the batch's own
_READ_TIMEOUT_S = 60.0
_STOP_S = 2.0
_COMMIT_S = 2 * TRANSACTION_TIMEOUT_MS / 1000  # by then the broker has aborted it


class Meta(msgspec.Struct, kw_only=True):
    """The record that a checkpoint ends with.

    positions : for each input topic the offset to read next.
    counts : for each input topic, records by what became of them, since the namespace began.
    step : what the role's own `meta()` gave.
    """

    positions: dict[str, int] = {}
    counts: dict[str, dict[str, int]] = {}
    step: dict[str, Any] = {}


class PartitionProducer:
    """Collects one partition's outputs and commits them with its state. An `Outbox`."""

    def __init__(self, settings: Settings, role: str, partition: int) -> None:
        self.n_pending = 0  # sent since the last commit
        self._settings = settings
        self._role = role
        self._partition = partition
        self._producer: AIOKafkaProducer | None = None
        self._batches: dict[tuple[str, int], Any] = {}
        self._acks: list[asyncio.Future[Any]] = []
        self._full: list[tuple[str, int, Any]] = []

    @property
    def producer(self) -> AIOKafkaProducer:
        assert self._producer is not None, "open() comes first"
        return self._producer

    async def open(self) -> None:
        """Fence whoever wrote this partition before, and begin a transaction."""
        self._producer = AIOKafkaProducer(
            **client_options(self._settings),
            transactional_id=f"{self._settings.group(self._role)}-{self._partition}",
            transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
            linger_ms=0,
            max_batch_size=_BATCH_BYTES,
            max_request_size=4 * _BATCH_BYTES,
            acks="all",
        )
        await started(self._producer)
        await self._producer.begin_transaction()

    async def close(self) -> None:
        """Stop the producer; what was not committed is aborted by the broker or a successor."""
        producer, self._producer = self._producer, None
        if producer is not None:
            for ack in self._acks:
                ack.cancel()
            try:
                await asyncio.wait_for(producer.stop(), _STOP_S)
            except (aiokafka.errors.KafkaError, TimeoutError):
                await producer.client.close()  # what a failed producer's own stop leaves open

    def send(
        self,
        topic: str,
        key: bytes,
        value: bytes,
        *,
        partition: int | None = None,
        timestamp_ms: int | None = None,
    ) -> None:
        """Append to the batch of the topic's partition; `flush` sends it.

        Raises Rejected for a record that no batch can hold; what was sent before it stays.
        """
        if partition is None:
            partition = partition_of(key, self._settings.partitions)
        if len(key) + len(value or b"") > MAX_RECORD_BYTES:
            raise Rejected(
                f"{topic}: expected key and value of at most {MAX_RECORD_BYTES} bytes, "
                f"got {len(key) + len(value)}"
            )
        place = (topic, partition)
        batch = self._batches.get(place)
        if batch is None:
            batch = self._batches[place] = self.producer.create_batch()
        if batch.append(key=key, value=value, timestamp=timestamp_ms) is None:
            self._full.append((topic, partition, batch))
            batch = self._batches[place] = self.producer.create_batch()
            batch.append(key=key, value=value, timestamp=timestamp_ms)
        self.n_pending += 1

    async def flush(self) -> None:
        """Hand what was collected to the broker, in order, inside the open transaction."""
        full, self._full = self._full, []
        open_, self._batches = self._batches, {}
        for topic, partition, batch in [*full, *((t, p, b) for (t, p), b in open_.items())]:
            ack = await self.producer.send_batch(
                batch, self._settings.topic(topic), partition=partition
            )
            ack.add_done_callback(_seen)
            self._acks.append(ack)

    async def commit(self, slots: Mapping[bytes, bytes | None], meta: Meta) -> None:
        """Write the changed slots and `meta`, commit, and begin the next transaction.

        Raises aiokafka's errors; the caller then forgets the partition's state.
        """
        if not self._settings.embedded:
            state = f"{self._role}-state"
            for key, value in slots.items():
                self._append_state(state, key, value)
            self._append_state(state, META_KEY, msgspec.json.encode(meta))
        await self.flush()
        acks, self._acks = self._acks, []
        try:
            async with asyncio.timeout(_COMMIT_S):
                await asyncio.gather(*acks)
                await self.producer.commit_transaction()
        except TimeoutError:
            raise aiokafka.errors.KafkaTimeoutError(f"no commit within {_COMMIT_S:g} s") from None
        self.n_pending = 0
        await self.producer.begin_transaction()

    def _append_state(self, state: str, key: bytes, value: bytes | None) -> None:
        # None is a tombstone: compaction drops the slot.
        self.send(state, key, value, partition=self._partition)  # type: ignore[arg-type]


def _seen(ack: asyncio.Future[Any]) -> None:
    if not ack.cancelled():
        ack.exception()  # `commit` raises it; without one nobody need hear of it


async def read_state(
    settings: Settings, role: str, partition: int
) -> tuple[dict[bytes, bytes], Meta | None]:
    """The slots and the meta record of the last checkpoint; (empty, None) where there is none."""
    tp = TopicPartition(settings.topic(f"{role}-state"), partition)
    slots: dict[bytes, bytes] = {}
    meta: Meta | None = None
    async with reader(
        settings, fetch_max_wait_ms=20, max_partition_fetch_bytes=8 << 20
    ) as consumer:
        consumer.assign([tp])
        end = (await consumer.end_offsets([tp]))[tp]
        await consumer.seek_to_beginning(tp)
        until = asyncio.get_running_loop().time() + _READ_TIMEOUT_S
        while await consumer.position(tp) < end:
            if asyncio.get_running_loop().time() > until:
                raise aiokafka.errors.KafkaTimeoutError(f"{tp.topic}: end {end} not reached")
            for records in (await consumer.getmany(tp, timeout_ms=50)).values():
                for record in records:
                    if record.key == META_KEY:
                        meta = msgspec.json.decode(record.value, type=Meta)
                    elif record.value is None:
                        slots.pop(record.key, None)
                    else:
                        slots[record.key] = record.value
    return slots, meta
