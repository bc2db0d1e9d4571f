"""Records that Kafka forgot to decide about are never seen, whatever is committed after them.

A lone broker that stands still for longer than its session does this of itself, once in a while:
its coordinator ends a transaction while its partitions have no leader to take the marker. Here
the coordinator is not told of the partition.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiokafka import TopicPartition

from stream.engine.checkpoint import Meta, PartitionProducer, read_state
from stream.engine.topics import create_topics
from stream.settings import Settings
from tests.integration.engine.log import read
from tests.integration.faults.cluster import Cluster

pytestmark = pytest.mark.stack


async def test_records_left_undecided_are_aborted_by_the_next_producer(
    kafka: str, namespace: str, tmp_path: Path
) -> None:
    brokers = tmp_path / "brokers"
    brokers.mkdir()
    with Cluster(brokers, 1, transaction_partition_verification_enable="false") as cluster:
        mine = Settings(broker=cluster.bootstrap, namespace=namespace, data_dir=tmp_path)
        await create_topics(mine)
        before = await _opened(mine)
        for topic, p in (("signals", 2), ("score-state", 0)):
            before.producer._txn_manager._txn_partitions.add(TopicPartition(mine.topic(topic), p))
            before.send(topic, b"AAPL", b"undecided", partition=p)
        await before.flush()
        await asyncio.gather(*before._acks)
        await before.close()
        after = await _opened(mine)
        assert await read_state(mine, "score", 0) == ({}, None)
        after.send("signals", b"AAPL", b"decided", partition=2)
        await after.commit({b"AAPL": b"1"}, Meta())
        await after.close()
        assert [value for _, value in read(mine, "signals", "read_uncommitted")[2]] == [
            b"undecided",
            b"decided",
        ]
        assert read(mine, "signals")[2] == [(b"AAPL", b"decided")]
        assert await read_state(mine, "score", 0) == ({b"AAPL": b"1"}, Meta())


async def _opened(settings: Settings) -> PartitionProducer:
    producer = PartitionProducer(settings, "score", 0, ("signals",))
    await producer.open()
    return producer
