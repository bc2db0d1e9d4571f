"""Mutated messages on every input topic of real roles: each becomes an event or a dead letter."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections import Counter

import confluent_kafka as kafka
import psycopg

from stream.engine.clients import librdkafka_options
from stream.engine.topics import create_topics, partition_lag
from stream.settings import Settings
from tests.e2e.servers import environment, verified
from tests.integration.faults.mutants import TOPICS, mutants
from tests.integration.faults.plugs import children
from tests.integration.faults.run import supervised, unarchived

_WAIT_S = 600.0
# `instruments` has one row a symbol, and `sentiment` also what the role sends: letters alone tell.
_TABLES = {
    "news": "news",
    "ticks": "ticks",
    "bars": "bars",
    "context": "context",
    "actions": "actions",
}
_KEPT = """
SELECT count(*) FROM (
    SELECT "partition", "offset" FROM {table}
    UNION SELECT "partition", "offset" FROM clock WHERE %(topic)s = 'ticks'
    UNION SELECT source_partition, source_offset FROM dead_letters WHERE source_topic = %(topic)s
) AS kept
"""


def fuzz(settings: Settings, seed: int, n: int) -> dict[str, int]:
    """Send `n` mutants to each topic; returns letters by topic. AssertionError for what is lost."""
    env = environment(settings, TAPEWIRE_PARTITIONS=str(settings.partitions))
    asyncio.run(create_topics(settings))
    subprocess.run([sys.executable, "-m", "stream.cli", "migrate"], env=env, check=True)
    with supervised(env) as workers:
        roles = children(workers.pid)
        _until_kept(settings, _send(settings, seed, n), workers)
        # Spares join the roles, the youngest last.
        assert roles == children(workers.pid)[: len(roles)], "a role ended on what it read"
    _, found = verified(env)
    for account in (*found["accounts"], *found["roles"]):
        assert account["unaccounted"] == 0, account
    with _connect(settings) as connection:
        rows = connection.execute("SELECT source_topic, count(*) FROM dead_letters GROUP BY 1")
        return dict(rows.fetchall())


def _send(settings: Settings, seed: int, n: int) -> Counter[str]:
    producer = kafka.Producer(
        {
            **librdkafka_options(settings),
            "partitioner": "murmur2_random",
            "queue.buffering.max.messages": 1_000_000,
        }
    )
    sent: Counter[str] = Counter()
    refused: list[kafka.KafkaError] = []

    def told(error: kafka.KafkaError | None, _: object) -> None:
        refused.extend([error] if error is not None else [])

    for topic in TOPICS:
        for key, value in mutants(topic, seed, n):
            if topic == "instruments" and key is None:
                key = b""  # a compacted topic refuses its whole batch
            producer.produce(settings.topic(topic), value, key, on_delivery=told)
            producer.poll(0)
            sent[topic] += 1
    assert producer.flush(120) == 0
    assert not refused
    return sent


def _until_kept(settings: Settings, sent: Counter[str], workers: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _WAIT_S
    while True:
        assert workers.poll() is None, "the supervisor gave up: its last lines are above"
        with _connect(settings) as connection:
            kept = {
                topic: _one(connection, _KEPT.format(table=table), {"topic": topic})
                for topic, table in _TABLES.items()
            }
        missing = {topic: sent[topic] - n for topic, n in kept.items() if n != sent[topic]}
        read: Counter[str] = Counter()
        for (topic, _), (at, _) in partition_lag(settings, settings.group("score")).items():
            read[topic] += at
        unread = {topic: sent[topic] - read[topic] for topic in ("sentiment", "instruments")}
        missing |= {topic: n for topic, n in unread.items() if n > 0}
        if not missing and not unarchived(settings, ["dead-letters"]):
            return
        assert time.monotonic() < until, f"neither a row nor a letter: {missing}"
        time.sleep(0.5)


def _one(connection: psycopg.Connection, query: str, given: dict[str, str]) -> int:
    row = connection.execute(query.encode(), given).fetchone()
    assert row is not None
    return int(row[0])


def _connect(settings: Settings) -> psycopg.Connection:
    dsn = settings.database.get_secret_value()
    return psycopg.connect(dsn, options=f"-c search_path={settings.namespace},public")
