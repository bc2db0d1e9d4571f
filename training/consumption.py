"""What the broker itself says: the roles' own counts, and which offsets hold a record."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import aiokafka.errors
import confluent_kafka as kafka
import msgspec

from stream.engine.checkpoint import Meta, read_state
from stream.engine.clients import reading_options, unavailable
from stream.engine.topics import present_topics
from stream.errors import Unavailable
from stream.settings import Settings

_ROLES = ("sentiment", "score", "market", "explain")
_READ_S = 20.0


class Consumed(msgspec.Struct, frozen=True):
    """One partition of one input of a role, in records; `unaccounted` must be 0.

    Of all `delivered` since the namespace began, each was applied, late, dead or a duplicate.
    `unarchived` of the late and dead ones have no row yet; below 0 some have a row too many.
    """

    role: str
    topic: str
    partition: int
    delivered: int
    applied: int
    late: int
    dead: int
    duplicate: int
    unarchived: int
    unaccounted: int


def consumed(settings: Settings, kept: Counter[tuple[str, str, int]]) -> list[Consumed]:
    """What the meta records of the last checkpoints count.

    Parameters
    ----------
    kept : archived late events and dead letters by (role, topic, partition).

    Raises
    ------
    Unavailable
        The broker does not answer.
    """
    present = present_topics(settings)
    found = []
    states = [(role, p) for role in _ROLES for p in range(present.get(f"{role}-state", 0))]
    try:
        metas = asyncio.run(_metas(settings, states))
    except aiokafka.errors.KafkaError as error:
        raise Unavailable(f"TAPEWIRE_BROKER={settings.broker}: {error}") from error
    for (role, partition), meta in zip(states, metas, strict=True):
        for topic, counts in sorted(meta.counts.items() if meta else ()):
            found.append(_consumed(role, topic, partition, counts, kept[role, topic, partition]))
    return found


async def _metas(settings: Settings, states: Sequence[tuple[str, int]]) -> list[Meta | None]:
    return [(await read_state(settings, role, partition))[1] for role, partition in states]


def _consumed(
    role: str, topic: str, partition: int, counts: Mapping[str, int], n_kept: int
) -> Consumed:
    n = Counter(counts)
    told = n["applied"] + n["late"] + n["dead"] + n["duplicate"]
    return Consumed(
        role=role,
        topic=topic,
        partition=partition,
        delivered=n["delivered"],
        applied=n["applied"],
        late=n["late"],
        dead=n["dead"],
        duplicate=n["duplicate"],
        unarchived=n["late"] + n["dead"] - n_kept,
        unaccounted=n["delivered"] - told,
    )


def without_record(
    settings: Settings, topic: str, partition: int, offsets: Sequence[int]
) -> set[int]:
    """Those of `offsets` that hold no record: transaction markers, and what compaction took.

    An offset that the broker's retention has removed may have held one: it is not among them.

    Raises Unavailable where the broker does not answer, or falls silent before the last of them.
    """
    if not offsets:
        return set()
    consumer = kafka.Consumer(reading_options(settings, isolation="read_uncommitted"))
    try:
        place = kafka.TopicPartition(settings.topic(topic), partition, min(offsets))
        first, end = consumer.get_watermark_offsets(place, timeout=_READ_S)
        missing = {offset for offset in offsets if first <= offset < end}
        if missing:
            consumer.assign([place])
            missing.difference_update(_held(consumer, max(missing), f"{topic}-{partition}"))
        return missing
    except kafka.KafkaException as error:
        raise unavailable(settings, error) from error
    finally:
        consumer.close()


def _held(consumer: kafka.Consumer, last: int, place: str) -> Iterator[int]:
    """Offsets of the records up to `last`. Raises Unavailable where the broker falls silent."""
    offset = -1
    while offset < last:
        message = consumer.poll(_READ_S)
        if message is None:
            raise Unavailable(
                f"{place}: expected records up to offset {last}, got none for {_READ_S:g} s after "
                f"offset {offset}"
            )
        error = message.error()
        if error is not None and error.code() == kafka.KafkaError._PARTITION_EOF:
            return
        if error is not None:
            raise kafka.KafkaException(error)
        offset = message.offset() or 0
        yield offset
