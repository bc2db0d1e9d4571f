"""How far the roles have read: what the loader waits on, so that a fast replay stays faithful."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from confluent_kafka import Consumer, KafkaException, TopicPartition

from stream.engine.clients import librdkafka_options, unavailable
from stream.engine.topics import partitions_of
from stream.errors import Unavailable
from stream.settings import Settings

Place = tuple[str, int]  # logical topic, partition

_TIMEOUT_S = 10.0
_LOOK_S = 0.02
_STUCK_S = 120.0


class Follower:
    """Reads the groups' committed offsets over one connection a group."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._consumers: dict[str, Consumer] = {}
        self._thread = ThreadPoolExecutor(1, "follow")  # a connection must not close under a call

    def close(self) -> None:
        """Close the connections."""
        self._thread.shutdown(cancel_futures=True)
        for consumer in self._consumers.values():
            consumer.close()

    async def wait_for(self, role: str, ends: Mapping[Place, int]) -> None:
        """Return when the role has committed through `ends` (next offsets).

        Raises Unavailable when it makes no progress for two minutes.
        """
        await self._until(role, lambda: {p: e for p, e in ends.items() if e > 0})

    async def wait_for_outputs(self, role: str, topics: tuple[str, ...], most: int = 0) -> None:
        """Return when the role has at most `most` unread records a partition of `topics`."""

        def ends() -> dict[Place, int]:
            now = self._ends(role, topics)
            return {place: end - most for place, end in now.items() if end > most}

        await self._until(role, ends)

    async def _until(self, role: str, ends: Callable[[], Mapping[Place, int]]) -> None:
        loop = asyncio.get_running_loop()
        seen: Mapping[Place, int] = {}
        since = loop.time()
        while True:
            wanted = await loop.run_in_executor(self._thread, ends)
            if not wanted:
                return
            committed = await loop.run_in_executor(
                self._thread, self._committed, role, list(wanted)
            )
            short = {p: (committed[p], end) for p, end in wanted.items() if committed[p] < end}
            if not short:
                return
            if committed != seen:
                seen, since = committed, loop.time()
            elif loop.time() - since > _STUCK_S:
                raise Unavailable(
                    f"role {role} made no progress for {_STUCK_S:g} s: (topic, partition) -> "
                    f"(committed, awaited) {short}; is it running in this namespace?"
                )
            await asyncio.sleep(_LOOK_S)

    def _consumer(self, role: str) -> Consumer:
        if role not in self._consumers:
            self._consumers[role] = Consumer(
                {**librdkafka_options(self._settings), "group.id": self._settings.group(role)}
            )
        return self._consumers[role]

    def _committed(self, role: str, places: list[Place]) -> dict[Place, int]:
        asked = [TopicPartition(self._settings.topic(topic), p) for topic, p in places]
        try:
            found = self._consumer(role).committed(asked, timeout=_TIMEOUT_S)
        except KafkaException as error:
            raise unavailable(self._settings, error) from None
        return {place: max(0, tp.offset) for place, tp in zip(places, found, strict=True)}

    def _ends(self, role: str, topics: tuple[str, ...]) -> dict[Place, int]:
        consumer = self._consumer(role)
        ends = {}
        try:
            for topic in topics:
                for p in range(partitions_of(topic, self._settings)):
                    tp = TopicPartition(self._settings.topic(topic), p)
                    ends[topic, p] = consumer.get_watermark_offsets(tp, timeout=_TIMEOUT_S)[1]
        except KafkaException as error:
            raise unavailable(self._settings, error) from None
        return ends
