"""The topics that letters came from: their records read again, letters sent back."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)

from stream.deadletters.letter import SOURCES, Letter, destination
from stream.engine.clients import librdkafka_options, reading_options, unavailable
from stream.engine.deadletters import MAX_KEPT_KEY_BYTES
from stream.errors import Refused, Unavailable
from stream.events import micros
from stream.settings import Settings

REPLAY_OF = "tapewire-replay-of"  # header: TOPIC:PARTITION:OFFSET of the record replayed
LETTER = "tapewire-dead-letter"  # header: the letter's name
_REACH_S = 10.0
_LARGEST = 100_000_000  # bytes; what is too large is the broker's to say
# Answers after which the record is surely not there; after any other it may be.
_NOT_TAKEN = frozenset(
    (
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.INVALID_RECORD,
        KafkaError.POLICY_VIOLATION,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
    )
)


class Original(NamedTuple):
    """The bytes of the record that a letter tells of."""

    letter: Letter
    key: bytes | None
    value: bytes | None


class Delivery(NamedTuple):
    """What the broker said of one letter: the place of its record, or why it has none."""

    letter: Letter
    place: tuple[int, int] | None
    why: str = ""
    surely_not: bool = False


class Source:
    """Reads and writes the source topics of a namespace. Blocking; close it."""

    def __init__(self, settings: Settings, delivery_s: float = 30.0) -> None:
        self._settings = settings
        self._delivery_s = delivery_s
        self._counts: dict[str, int] = {}
        self._producer = Producer(
            {
                **librdkafka_options(settings),
                "partitioner": "murmur2_random",
                "acks": "all",
                "enable.idempotence": True,
                "message.max.bytes": _LARGEST,
                "message.timeout.ms": int(delivery_s * 1000),
                "linger.ms": 5,
            }
        )

    def check(self, topic: str) -> None:
        """Raises Refused for a topic that no role reads, Unavailable for a broker that is away."""
        if topic in self._counts:
            return
        if topic not in SOURCES:
            raise Refused(f"source topic: expected one of {', '.join(SOURCES)}, got {topic!r}")
        name = self._settings.topic(topic)
        try:
            found = self._producer.list_topics(name, timeout=_REACH_S).topics[name]
        except KafkaException as error:
            raise unavailable(self._settings, error) from None
        if found.error is not None or not found.partitions:
            raise Refused(f"topic {name}: expected it on {self._settings.broker}, found none")
        self._counts[topic] = len(found.partitions)

    def original(self, letter: Letter, kept: bytes) -> Original:
        """The bytes to send: the letter's own, or where it was cut, read from its source again.

        Raises Refused where the topic is none of ours, or the record gone or another one, and
        Unavailable where the broker is away.
        """
        self.check(letter.source_topic)
        if letter.is_whole:
            return Original(letter, letter.key, kept)
        message = self._read(letter)
        if message is None:
            raise Refused(
                f"{letter.n_kept:,} of {letter.n_bytes:,} bytes were kept, and {letter.source} "
                "is no longer there: send the original again from where it came"
            )
        key, value = message.key(), message.value()
        raw = value or b""
        same_key = (key if key is None else key[:MAX_KEPT_KEY_BYTES]) == letter.key
        if not (same_key and len(raw) == letter.n_bytes and raw.startswith(kept)):
            raise Refused(
                f"expected at {letter.source} the record with its key and {letter.n_bytes:,} "
                f"bytes, got another of {len(raw):,}: the topic was made anew"
            )
        return Original(letter, key, value)

    def send(self, originals: Sequence[Original]) -> list[Delivery]:
        """Send all and wait for the broker's word on each."""
        said: list[Delivery] = []
        for original in originals:
            self._produce(original, said)
        self._producer.flush(self._delivery_s + _REACH_S)
        told = {delivery.letter.name for delivery in said}
        for original in originals:
            if original.letter.name not in told:
                said.append(Delivery(original.letter, None, "the broker did not say"))
        return said

    def close(self) -> None:
        """Drop what was not sent."""
        self._producer.purge()
        self._producer.flush(0)

    def _produce(self, original: Original, said: list[Delivery]) -> None:
        letter = original.letter

        def delivered(error: KafkaError | None, message: Message) -> None:
            said.append(_delivery(letter, error, message))

        past = self._settings.mode == "replay"  # where the wall clock stamps nothing
        try:
            self._producer.produce(
                self._settings.topic(letter.source_topic),
                original.value,
                original.key,
                partition=destination(letter, original.key, self._counts[letter.source_topic]),
                timestamp=max(1, micros(letter.source_kafka_ts) // 1000) if past else 0,
                headers=[(REPLAY_OF, letter.source.encode()), (LETTER, letter.name.encode())],
                on_delivery=delivered,
            )
        except KafkaException as error:
            said.append(Delivery(letter, None, error.args[0].str(), surely_not=True))
        except Refused as error:
            said.append(Delivery(letter, None, str(error), surely_not=True))

    def _read(self, letter: Letter) -> Message | None:
        """The record at the letter's source, None where it is gone."""
        place = TopicPartition(
            self._settings.topic(letter.source_topic), letter.source_partition, letter.source_offset
        )
        if not 0 <= letter.source_partition < self._counts[letter.source_topic]:
            return None
        consumer = Consumer(reading_options(self._settings, isolation="read_committed"))
        try:
            first, end = consumer.get_watermark_offsets(place, timeout=_REACH_S)
            if not first <= letter.source_offset < end:
                return None
            consumer.assign([place])
            return self._first(consumer, place)
        except KafkaException as error:
            raise unavailable(self._settings, error) from None
        finally:
            consumer.close()

    def _first(self, consumer: Consumer, place: TopicPartition) -> Message | None:
        until = time.monotonic() + _REACH_S
        while time.monotonic() < until:
            message = consumer.poll(0.2)
            if message is None:
                continue
            if (error := message.error()) is None:
                return message if message.offset() == place.offset else None
            if error.code() == KafkaError._PARTITION_EOF:
                return None
            raise KafkaException(error)
        raise Unavailable(
            f"TAPEWIRE_BROKER={self._settings.broker}: {place.topic} was not read in {_REACH_S:g} s"
        )


def _delivery(letter: Letter, error: KafkaError | None, message: Message) -> Delivery:
    if error is not None:
        return Delivery(letter, None, error.str(), surely_not=error.code() in _NOT_TAKEN)
    partition, offset = message.partition(), message.offset()
    if partition is None or offset is None or offset < 0:
        return Delivery(letter, None, "the broker gave no offset")
    return Delivery(letter, (partition, offset))
