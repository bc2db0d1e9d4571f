"""A score worker that is broken on purpose: what finds faults must find these."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from aiokafka import AIOKafkaProducer

from stream.engine.checkpoint import Meta, PartitionProducer
from stream.engine.clients import client_options, started
from stream.engine.topics import partition_of
from stream.scoring.agent import run_score
from stream.scoring.step import ScoreStep
from stream.settings import read_settings

HELD_S = 2.0  # three panes of the matrix's stream: at any moment of it something is held


class Held:
    """Outputs that a plain producer sends once their state has been committed for `HELD_S`."""

    def __init__(self) -> None:
        self._settings = read_settings()
        self._of: WeakKeyDictionary[PartitionProducer, list[dict[str, Any]]] = WeakKeyDictionary()
        self._producer: AIOKafkaProducer | None = None
        self._one_at_a_time = asyncio.Lock()
        self._following: set[asyncio.Task[None]] = set()

    def keep(
        self,
        of: PartitionProducer,
        topic: str,
        key: bytes,
        value: bytes,
        *,
        partition: int | None = None,
        timestamp_ms: int | None = None,
    ) -> None:
        if partition is None:
            partition = partition_of(key, self._settings.partitions)
        record = {"topic": self._settings.topic(topic), "key": key, "value": value}
        record |= {"partition": partition, "timestamp_ms": timestamp_ms}
        self._of.setdefault(of, []).append(record)

    def committed(self, of: PartitionProducer) -> None:
        following = asyncio.create_task(self._follow(self._of.pop(of, [])))
        self._following.add(following)
        following.add_done_callback(self._following.discard)

    async def _follow(self, records: list[dict[str, Any]]) -> None:
        await asyncio.sleep(HELD_S)
        async with self._one_at_a_time:
            if self._producer is None:
                self._producer = AIOKafkaProducer(**client_options(self._settings), acks="all")
                await started(self._producer)
            for record in records:
                await self._producer.send(**record)


def acknowledge_before_send() -> None:
    """State and positions are committed; the outputs that belong to them follow later."""
    send, commit = PartitionProducer.send, PartitionProducer.commit
    held = Held()

    def hold(self: PartitionProducer, topic: str, *args: Any, **options: Any) -> None:
        if topic.endswith("-state"):
            send(self, topic, *args, **options)
        else:
            held.keep(self, topic, *args, **options)
            self.n_pending += 1

    async def commit_first(
        self: PartitionProducer, slots: Mapping[bytes, bytes | None], meta: Meta
    ) -> None:
        await commit(self, slots, meta)
        held.committed(self)

    PartitionProducer.send = hold  # type: ignore[method-assign,assignment]
    PartitionProducer.commit = commit_first  # type: ignore[method-assign]


def skip_a_slot() -> None:
    """Open panes are left out of every checkpoint."""
    take_changes = ScoreStep.take_changes

    def take_some(self: ScoreStep) -> Iterable[tuple[bytes, bytes | None]]:
        return [(key, value) for key, value in take_changes(self) if b"|open|" not in key]

    ScoreStep.take_changes = take_some  # type: ignore[method-assign]


SABOTAGE = {each.__name__: each for each in (acknowledge_before_send, skip_a_slot)}

if __name__ == "__main__":
    SABOTAGE[sys.argv[1]]()
    asyncio.run(run_score(read_settings()))
