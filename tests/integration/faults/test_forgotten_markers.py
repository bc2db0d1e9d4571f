"""The broker that we test with forgets no transaction that ends while a partition has no leader.

Kafka 4.3.0 to 4.4.0 (KAFKA-20734) take such a partition for deleted: no marker reaches it, its
readers stop there, and the next commit of the same transactional id takes aborted records along.
A lone broker that stands still for longer than its session has no leaders for a moment.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import IsolationLevel, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

from tests.integration.faults.cluster import Cluster

pytestmark = [pytest.mark.stack, pytest.mark.usefixtures("kafka")]  # whose jars the cluster runs

_WAIT_S = 30.0
_COMMITTED, _ABORTED = (TopicPartition("signals", partition) for partition in (0, 1))


def test_transaction_that_ends_without_a_leader_is_ended_when_it_is_back(tmp_path: Path) -> None:
    with Cluster(tmp_path, 3, broker_session_timeout_ms="2000") as cluster:
        admin = AdminClient({"bootstrap.servers": cluster.bootstrap, "log_level": 0})
        topic = NewTopic(_COMMITTED.topic, 2, replica_assignment=[[0], [0]])
        admin.create_topics([topic])[topic.topic].result(_WAIT_S)
        producers = {place.partition: _begun(cluster, place) for place in (_COMMITTED, _ABORTED)}
        cluster.end(0, signal.SIGKILL)
        _until(lambda: _leaders(admin) == {-1})
        producers[_COMMITTED.partition].commit_transaction(_WAIT_S)
        producers[_ABORTED.partition].abort_transaction(_WAIT_S)
        cluster.start([0])
        _until(lambda: _leaders(admin) == {0})
        _until(lambda: _ends(admin, IsolationLevel.READ_COMMITTED) == [2, 2])
        assert _ends(admin, IsolationLevel.READ_UNCOMMITTED) == [2, 2]  # a record and its marker


def _begun(cluster: Cluster, place: TopicPartition) -> Producer:
    """A producer whose open transaction has one record."""
    producer = Producer(
        {
            "bootstrap.servers": cluster.bootstrap,
            "transactional.id": f"score-{place.partition}",
            "log_level": 0,
        }
    )
    producer.init_transactions(_WAIT_S)
    producer.begin_transaction()
    producer.produce(place.topic, b"signal", partition=place.partition)
    assert producer.flush(_WAIT_S) == 0
    return producer


def _leaders(admin: AdminClient) -> set[int]:
    partitions = admin.list_topics(_COMMITTED.topic, timeout=_WAIT_S).topics[_COMMITTED.topic]
    return {partition.leader for partition in partitions.partitions.values()}


def _ends(admin: AdminClient, isolation: IsolationLevel) -> list[int]:
    asked = admin.list_offsets(
        {place: OffsetSpec.latest() for place in (_COMMITTED, _ABORTED)}, isolation_level=isolation
    )
    return [asked[place].result(_WAIT_S).offset for place in (_COMMITTED, _ABORTED)]


def _until(done: Callable[[], bool]) -> None:
    until = time.monotonic() + _WAIT_S
    while not done():
        assert time.monotonic() < until, "not within 30 s"
        time.sleep(0.1)
