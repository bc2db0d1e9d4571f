"""What tests write to the log and read back from it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator

import confluent_kafka as kafka
import msgspec
from confluent_kafka import ConsumerGroupState
from confluent_kafka.admin import AdminClient

from stream.engine.clients import reading_options
from stream.engine.topics import partition_lag
from stream.settings import Settings
from tests.integration.engine.counting import Counted

WAIT_S = 30.0
Sent = tuple[bytes | None, bytes, int, int]  # key, value, partition, timestamp in milliseconds


def ticks(n: int, *, first: int = 0, n_partitions: int = 4, n_keys: int = 20) -> Iterator[Sent]:
    """Numbered records over all partitions, a millisecond apart."""
    for i in range(first, first + n):
        partition = i % n_partitions
        yield b"%d-%d" % (partition, i % n_keys), b"%d" % i, partition, 1_700_000_000_000 + i


def publish(settings: Settings, topic: str, records: Iterable[Sent]) -> None:
    """Send in order."""
    producer = kafka.Producer(
        {
            "bootstrap.servers": settings.broker,
            "linger.ms": 5,
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    for key, value, partition, timestamp_ms in records:
        producer.produce(settings.topic(topic), value, key, partition, timestamp=timestamp_ms)
        producer.poll(0)
    assert producer.flush(30) == 0


def read(
    settings: Settings, topic: str, isolation: str = "read_committed"
) -> dict[int, list[tuple[bytes, bytes]]]:
    """Key and value of all records, by partition and in order."""
    found: dict[int, list[tuple[bytes, bytes]]] = {p: [] for p in range(settings.partitions)}
    for message in messages(settings, topic, isolation):
        found[message.partition()].append((message.key(), message.value()))
    return found


def messages(
    settings: Settings, topic: str, isolation: str = "read_committed"
) -> Iterator[kafka.Message]:
    """All records to the ends, one by one."""
    options = reading_options(settings, isolation=isolation)
    consumer = kafka.Consumer({**options, "fetch.wait.max.ms": 10})
    name = settings.topic(topic)
    partitions = consumer.list_topics(name, timeout=WAIT_S).topics[name].partitions
    consumer.assign([kafka.TopicPartition(name, p, 0) for p in partitions])
    ended: set[int] = set()
    until = time.monotonic() + WAIT_S
    while len(ended) < len(partitions):
        assert time.monotonic() < until, f"{topic}: no more records, and not read to its end"
        for message in consumer.consume(1_000, 0.05):
            if error := message.error():
                if error.code() == kafka.KafkaError._PARTITION_EOF:
                    ended.add(message.partition())
            else:
                until = time.monotonic() + WAIT_S
                yield message
    consumer.close()


def outputs(settings: Settings) -> dict[int, list[tuple[bytes, Counted]]]:
    """The counting role's committed outputs."""
    return {
        partition: [(key, msgspec.json.decode(value, type=Counted)) for key, value in records]
        for partition, records in read(settings, "signals").items()
    }


def n_outputs(settings: Settings) -> int:
    return sum(map(len, read(settings, "signals").values()))


def n_members(settings: Settings) -> int:
    """Workers of the group, once they have agreed on who has what."""
    group = settings.group("score")
    admin = AdminClient({"bootstrap.servers": settings.broker})
    try:
        found = admin.describe_consumer_groups([group])[group].result()
    except kafka.KafkaException:  # a new broker's first group waits for its coordinator
        return 0
    return len(found.members) if found.state is ConsumerGroupState.STABLE else 0


def assert_each_once(settings: Settings, n: int) -> None:
    """All `n` ticks gave one output each, in order, from a state that held all before them."""
    told = outputs(settings)
    assert sum(map(len, told.values())) == n
    for records in told.values():
        offsets = [one.offset for _, one in records]
        assert offsets == sorted(set(offsets))
        counts: dict[bytes, int] = {}
        for key, one in records:
            counts[key] = counts.get(key, 0) + 1
            assert one.n == counts[key]


async def until(holds: Callable[[], bool], *, role: asyncio.Task[None] | None = None) -> None:
    """Wait until `holds()`; a role that ended meanwhile raises what ended it."""
    deadline = time.monotonic() + WAIT_S
    while not await asyncio.to_thread(holds):
        if role is not None and role.done():
            role.result()
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.05)


def how_far(settings: Settings, role: str) -> dict[tuple[str, int], tuple[int, int]]:
    """For each (topic, partition) that a role has committed in: (position, end)."""
    return asyncio.run(partition_lag(settings, settings.group(role)))


def all_read(settings: Settings, n_partitions: int = 4) -> bool:
    """Whether the score group has committed to the end of as many partitions."""
    lag = how_far(settings, "score")
    return len(lag) >= n_partitions and all(position >= end for position, end in lag.values())
