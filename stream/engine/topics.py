"""The namespace's topics: names, settings, identity, and how far each group has read."""

from __future__ import annotations

import asyncio
import math
import time
from functools import lru_cache

from aiokafka import errors
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.partitioner import murmur2
from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_fixed

from stream.engine.clients import client_options, librdkafka_options, reader, unavailable
from stream.engine.reach import reach
from stream.errors import Refused, Unavailable
from stream.events import TOPICS
from stream.settings import Settings

INPUTS = ("news", "ticks", "bars", "context", "actions", "instruments")
STATES = ("score-state", "sentiment-state", "explain-state", "market-state")
ALONE = ("pane-ends", "market-state")  # of one partition: one process reads it, others stand by
_TIMEOUT_S = 15.0
_AGAIN_S = 0.5
_STATE_CONFIG = {
    "cleanup.policy": "compact",
    "segment.bytes": str(16 * 2**20),
    "segment.ms": "600000",
    "min.cleanable.dirty.ratio": "0.1",
}


@lru_cache(maxsize=100_000)
def partition_of(key: bytes, n_partitions: int) -> int:
    """The partition of a key: Java's murmur2 of the raw bytes, modulo the count."""
    return int((murmur2(key) & 0x7FFFFFFF) % n_partitions)


def partitions_of(name: str, settings: Settings) -> int:
    """How many partitions the logical topic `name` has.

    On the embedded broker all have as many; of those that should have one the first is used.
    """
    return 1 if name in ALONE and not settings.embedded else settings.partitions


def topic_names() -> tuple[str, ...]:
    """Logical names of all topics."""
    return (*TOPICS, *STATES)


def topic_config(name: str, settings: Settings) -> dict[str, str]:
    """The broker's settings for the logical topic `name`."""
    if name in STATES:
        return _STATE_CONFIG | _safe(settings)
    config = {}
    if name in ("instruments", "models"):
        config["cleanup.policy"] = "compact"
    if settings.mode == "replay":
        config["retention.ms"] = "-1"
        config["message.timestamp.type"] = "CreateTime"
    elif name in INPUTS:
        config["message.timestamp.type"] = "LogAppendTime"
    return config | _safe(settings)


def _safe(settings: Settings) -> dict[str, str]:
    """With three replicas or more a record is acknowledged when two have it: one may go."""
    return {"min.insync.replicas": "2"} if settings.replication >= 3 else {}


async def create_topics(settings: Settings) -> None:
    """Create what is missing.

    Raises
    ------
    Unavailable
        The broker does not answer.
    Refused
        The broker refuses us, or a topic is there with another partition count.
    """
    await reach(settings)
    await asyncio.to_thread(_create, settings)


def _create(settings: Settings) -> None:
    admin = AdminClient(librdkafka_options(settings))
    try:
        if settings.embedded:  # the embedded broker makes a topic when it is asked about it
            for name in topic_names():
                made = admin.list_topics(settings.topic(name), timeout=_TIMEOUT_S).topics
                _refuse_other_counts(settings, {n: len(t.partitions) for n, t in made.items()})
            return
        present = admin.list_topics(timeout=_TIMEOUT_S).topics
        _refuse_other_counts(settings, {name: len(t.partitions) for name, t in present.items()})
        missing = [
            NewTopic(
                settings.topic(name),
                num_partitions=partitions_of(name, settings),
                replication_factor=settings.replication,
                config=topic_config(name, settings),
            )
            for name in topic_names()
            if settings.topic(name) not in present
        ]
        if not missing:
            return
        for future in admin.create_topics(missing, operation_timeout=_TIMEOUT_S).values():
            try:
                future.result()
            except KafkaException as error:
                if error.args[0].name() != "TOPIC_ALREADY_EXISTS":
                    raise
        _until_known(admin, {topic.topic for topic in missing})
    except KafkaException as error:
        raise unavailable(settings, error) from None


def _until_known(admin: AdminClient, topics: set[str]) -> None:
    """Brokers tell of a new topic a little later; a role that starts before reads nothing."""
    for _ in range(100):
        known = admin.list_topics(timeout=_TIMEOUT_S).topics
        if all(t in known and known[t].error is None and known[t].partitions for t in topics):
            return
        time.sleep(0.05)
    raise Unavailable(f"topics were made, but the broker does not tell of {sorted(topics)}")


def _refuse_other_counts(settings: Settings, counts: dict[str, int]) -> None:
    for name in topic_names():
        expected = partitions_of(name, settings)
        n = counts.get(settings.topic(name), expected)
        if n != expected and name in ALONE:
            raise Refused(f"topic {settings.topic(name)}: expected {expected} partition, got {n}")
        if n != expected:
            raise Refused(
                f"TAPEWIRE_PARTITIONS: expected the {n} partitions that topic "
                f"{settings.topic(name)} has, got {settings.partitions}; the count is fixed for "
                "a namespace's life"
            )


def present_topics(settings: Settings) -> dict[str, int]:
    """Partitions of each logical topic that the broker has. Raises Unavailable without one."""
    admin = AdminClient(librdkafka_options(settings))
    try:
        there = admin.list_topics(timeout=_TIMEOUT_S).topics
    except KafkaException as error:
        raise unavailable(settings, error) from None
    full = {name: settings.topic(name) for name in topic_names()}
    return {name: len(there[each].partitions) for name, each in full.items() if each in there}


async def retention_s(settings: Settings) -> dict[str, float]:
    """How long the broker keeps a record of each logical topic, in seconds; inf: for ever."""
    return await asyncio.to_thread(_retention, settings)


def _retention(settings: Settings) -> dict[str, float]:
    if settings.embedded:
        return {}
    admin = AdminClient(librdkafka_options(settings))
    asked = [
        ConfigResource(ConfigResource.Type.TOPIC, settings.topic(name)) for name in topic_names()
    ]
    found = {}
    for resource, future in admin.describe_configs(asked, request_timeout=_TIMEOUT_S).items():
        try:
            kept_ms = int(future.result()["retention.ms"].value)
        except KafkaException as error:
            raise unavailable(settings, error) from None
        found[_logical(settings, resource.name)] = kept_ms / 1000 if kept_ms >= 0 else math.inf
    return found


async def topic_ids(settings: Settings) -> dict[str, str]:
    """The broker's id of each logical topic: a topic made anew under its name is another one."""
    return await asyncio.to_thread(_ids, settings)


def _ids(settings: Settings) -> dict[str, str]:
    if settings.embedded:
        return {name: f"{settings.run_id}.{name}" for name in topic_names()}
    admin = AdminClient(librdkafka_options(settings))
    full = {settings.topic(name): name for name in topic_names()}
    found = admin.describe_topics(TopicCollection(list(full)), request_timeout=_TIMEOUT_S)
    try:
        return {full[name]: str(future.result().topic_id) for name, future in found.items()}
    except KafkaException as error:
        raise unavailable(settings, error) from None


async def lag(settings: Settings, group: str) -> dict[str, tuple[int, int]]:
    """For each logical topic that `group` has committed in: (position, end), over partitions."""
    summed: dict[str, tuple[int, int]] = {}
    for (name, _), (position, end) in (await partition_lag(settings, group)).items():
        before = summed.get(name, (0, 0))
        summed[name] = (before[0] + position, before[1] + end)
    return summed


async def partition_lag(settings: Settings, group: str) -> dict[tuple[str, int], tuple[int, int]]:
    """For each (logical topic, partition) that `group` has committed in: (position, end).

    Raises Unavailable where the broker does not answer.
    """
    again = AsyncRetrying(
        retry=retry_if_exception_type((errors.KafkaError, TimeoutError)),
        stop=stop_after_delay(_TIMEOUT_S),
        wait=wait_fixed(_AGAIN_S),
        reraise=True,
    )
    try:
        return await again(_partition_lag, settings, group)
    except (errors.KafkaError, TimeoutError) as error:
        why = str(error) or "no answer"
        raise Unavailable(f"TAPEWIRE_BROKER={settings.broker}: {why}") from None


async def _partition_lag(settings: Settings, group: str) -> dict[tuple[str, int], tuple[int, int]]:
    everywhere = [(settings.topic(n), p) for n in TOPICS for p in range(partitions_of(n, settings))]
    # Not by librdkafka's: it crashes where the group's coordinator has moved (2.16).
    await reach(settings)
    admin = AIOKafkaAdminClient(**client_options(settings))
    try:
        async with asyncio.timeout(_TIMEOUT_S), reader(settings, committed=False) as consumer:
            await admin.start()
            found = await admin.list_consumer_group_offsets(group, partitions=everywhere)
            if len(found) < len(everywhere):  # aiokafka passes over what the coordinator says
                raise errors.GroupLoadInProgressError(f"{group}: its offsets are being loaded")
            committed = {place: at.offset for place, at in found.items() if at.offset >= 0}
            ends = await consumer.end_offsets(committed)
    finally:
        await admin.close()
    return {
        (_logical(settings, place.topic), place.partition): (at, ends[place])
        for place, at in committed.items()
    }


def _logical(settings: Settings, full: str) -> str:
    return full.removeprefix(settings.topic(""))
