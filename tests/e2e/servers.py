"""The roles as processes on the real servers, and what goes in and comes out of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from typing import Any

import confluent_kafka as kafka
import psycopg
import pytest

from stream.events import MARKET_KEY
from stream.settings import Settings

WAIT_S = 60.0
PARTITION_UA = -1  # the key's


def environment(settings: Settings, **more: str) -> dict[str, str]:
    """What a worker process of this namespace needs."""
    return {
        **{k: v for k, v in os.environ.items() if not k.startswith("TAPEWIRE_")},
        "TAPEWIRE_BROKER": settings.broker,
        "TAPEWIRE_DATABASE": settings.database.get_secret_value(),
        "TAPEWIRE_REDIS": settings.redis.get_secret_value(),
        "TAPEWIRE_NAMESPACE": settings.namespace,
        "TAPEWIRE_MODE": settings.mode,
        **more,
    }


def tapewire(env: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """One command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "stream.cli", *words],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )


def verified(env: dict[str, str], *arguments: str) -> tuple[int, dict[str, Any]]:
    """Exit code and report of `tapewire verify`."""
    done = tapewire(env, "verify", "--json", *arguments)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def publish(settings: Settings, records: Iterable[tuple[str, str, bytes, int]]) -> None:
    """Send (topic, key, value, Kafka time in ms), each to its key's partition.

    What concerns every symbol goes to every partition.
    """
    producer = kafka.Producer(
        {"bootstrap.servers": settings.broker, "partitioner": "murmur2_random"}
    )
    for topic, key, value, at_ms in records:
        for partition in range(settings.partitions) if key == MARKET_KEY else (PARTITION_UA,):
            producer.produce(
                settings.topic(topic), value, key.encode(), partition=partition, timestamp=at_ms
            )
    assert producer.flush(10) == 0


def rows_of(settings: Settings, query: str, enough: int) -> list[dict[str, object]]:
    """The query's rows, as soon as there are enough."""
    until = time.monotonic() + WAIT_S
    rows: list[dict[str, object]] = []
    with psycopg.connect(
        settings.database.get_secret_value(),
        autocommit=True,
        options=f"-c search_path={settings.namespace}",
        row_factory=psycopg.rows.dict_row,
    ) as connection:
        while time.monotonic() < until:
            rows = connection.execute(query).fetchall()
            if len(rows) >= enough:
                return rows
            time.sleep(0.1)
    pytest.fail(f"{query}: expected {enough} rows in {WAIT_S:g} s, got {rows}")
