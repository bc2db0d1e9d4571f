"""What a group has committed is not said to be nothing while its broker still loads it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import confluent_kafka as kafka
import pytest

from stream.engine.topics import create_topics, partition_lag
from stream.settings import Settings
from tests.integration.faults.cluster import Cluster

pytestmark = [pytest.mark.stack, pytest.mark.usefixtures("kafka")]  # whose jars the cluster runs


def test_a_restarted_broker_is_asked_until_it_knows_a_groups_positions(tmp_path: Path) -> None:
    with Cluster(tmp_path, 1) as cluster:
        settings = Settings(broker=cluster.bootstrap, namespace="restarted", data_dir=tmp_path)
        asyncio.run(create_topics(settings))
        group = settings.group("score")
        _commit(settings, group)
        for way in ("term", "kill"):
            cluster.pull(way, 0.2)
            lag = asyncio.run(partition_lag(settings, group))
            assert {place: at for place, (at, _) in lag.items()} == {("ticks", 0): 5}


def _commit(settings: Settings, group: str) -> None:
    consumer = kafka.Consumer({"bootstrap.servers": settings.broker, "group.id": group})
    at = kafka.TopicPartition(settings.topic("ticks"), 0, 5)
    consumer.commit(offsets=[at], asynchronous=False)
    consumer.close()
