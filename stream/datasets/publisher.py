"""Sends a dataset's records: idempotent, to the partition of their key, stamped with their time."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from stream.datasets.dataset import Timed
from stream.datasets.follow import Place
from stream.engine.clients import librdkafka_options
from stream.engine.topics import partition_of
from stream.errors import Refused, Unavailable
from stream.events import MARKET_KEY
from stream.settings import Settings

_TIMEOUT_S = 30.0
_TELL_US = 1_000_000
_CLOCK_KEY = MARKET_KEY.encode()


class Publisher:
    """Knows the next offset of every partition it wrote. Blocking; one thread at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._ends: dict[Place, int] = {}
        self._failed: list[str] = []
        self._producer = Producer(
            {
                **librdkafka_options(settings),
                "partitioner": "murmur2_random",
                "linger.ms": 5,
                "batch.size": 1 << 18,
                "queue.buffering.max.messages": 1_000_000,
                "enable.idempotence": not settings.embedded,
            }
        )

    def check(self, topic: str) -> None:
        """Raises Refused where the topic has not the setting's partitions, or is not there."""
        name, expected = self._settings.topic(topic), self._settings.partitions
        try:
            found = self._producer.list_topics(name, timeout=_TIMEOUT_S).topics[name]
        except KafkaException as error:
            raise self._unavailable(error.args[0].str()) from None
        n = 0 if found.error is not None else len(found.partitions)
        if n != expected:
            raise Refused(
                f"topic {name}: expected {expected} partitions (TAPEWIRE_PARTITIONS), got {n}"
            )

    def send(
        self, records: Iterable[Timed], published: Callable[[int], None] = lambda at_us: None
    ) -> None:
        """Send records and wait until the broker has them; a clock tick goes to every partition.

        Parameters
        ----------
        published : called about once a second of past time with the time sent through.

        Raises
        ------
        Unavailable
            The broker does not take them.
        """
        n = self._settings.partitions
        names: dict[str, str] = {}
        told = 0
        for topic, at, key, value in records:
            name = names.get(topic) or names.setdefault(topic, self._settings.topic(topic))
            for partition in range(n) if key == _CLOCK_KEY else (partition_of(key, n),):
                self._produce(name, value, key, partition, at // 1000)
            if at >= told + _TELL_US:
                published(at)
                told = at
        left = self._producer.flush(_TIMEOUT_S)
        if left or self._failed:
            why = (
                self._failed[0] if self._failed else f"{left} records not taken in {_TIMEOUT_S:g} s"
            )
            raise self._unavailable(why)

    def ends(self, topic: str) -> dict[Place, int]:
        """The next offset of each partition of `topic` written so far."""
        name = self._settings.topic(topic)
        return {(topic, p): end for (known, p), end in self._ends.items() if known == name}

    def close(self) -> None:
        """Drop what was not sent."""
        self._producer.purge()

    def _produce(
        self, topic: str, value: bytes, key: bytes, partition: int, timestamp_ms: int
    ) -> None:
        while True:
            try:
                self._producer.produce(
                    topic,
                    value,
                    key,
                    partition=partition,
                    timestamp=timestamp_ms,
                    on_delivery=self._delivered,
                )
                return
            except BufferError:
                self._producer.poll(0.1)

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._failed.append(error.str())
            return
        self._ends[str(message.topic()), message.partition() or 0] = (message.offset() or 0) + 1

    def _unavailable(self, why: str) -> Unavailable:
        return Unavailable(f"TAPEWIRE_BROKER={self._settings.broker}: {why}")
