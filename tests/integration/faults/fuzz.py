"""Mutated messages on every input topic of real roles: each becomes an event or a dead letter."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass

import confluent_kafka as kafka
import psycopg

from stream.engine.clients import librdkafka_options
from stream.engine.topics import create_topics
from stream.settings import Settings
from tests.e2e.servers import environment, verified
from tests.integration.engine.log import how_far
from tests.integration.faults.mutants import TOPICS, mutants
from tests.integration.faults.plugs import children, role_pid, rss_mb
from tests.integration.faults.run import supervised, unarchived

READ = {
    "sentiment": ("news",),
    "score": ("ticks", "sentiment", "actions", "instruments"),
    "archive": TOPICS,
}
_MOST_QUEUED = 10_000
_STILL_S = 120.0  # with nothing more read or kept
# Of `sentiment`, which also holds what the role sends, and of `instruments` letters alone tell.
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


@dataclass(frozen=True)
class Fuzzed:
    """What became of the mutants. All of them were events or letters."""

    mutants: int
    letters: dict[str, int]  # by topic
    took_s: float  # until the last one was kept
    highest_rss_mb: dict[str, int]  # by role


def fuzz(settings: Settings, seed: int, n: int) -> Fuzzed:
    """Send `n` mutants to each topic. Raises AssertionError for what is lost or crashes."""
    env = environment(settings, TAPEWIRE_PARTITIONS=str(settings.partitions))
    asyncio.run(create_topics(settings))
    subprocess.run([sys.executable, "-m", "stream.cli", "migrate"], env=env, check=True)
    began = time.monotonic()
    with supervised(env) as workers:
        roles = {role: role_pid(workers.pid, role) for role in READ}
        sent = _send(settings, seed, n)
        _until_kept(settings, sent, workers)
        took_s = time.monotonic() - began
        highest = {role: rss_mb(pid, "VmHWM") for role, pid in roles.items()}
        assert set(roles.values()) <= set(children(workers.pid)), "a role ended on what it read"
    _, found = verified(env)
    for account in (*found["accounts"], *found["roles"]):
        assert account["unaccounted"] == 0, account
    with _connect(settings) as connection:
        rows = connection.execute("SELECT source_topic, count(*) FROM dead_letters GROUP BY 1")
        letters = dict(rows.fetchall())
    return Fuzzed(sent.total(), letters, round(took_s, 1), highest)


def _send(settings: Settings, seed: int, n: int) -> Counter[str]:
    producer = kafka.Producer({**librdkafka_options(settings), "partitioner": "murmur2_random"})
    sent: Counter[str] = Counter()
    refused: list[kafka.KafkaError] = []

    def told(error: kafka.KafkaError | None, _: object) -> None:
        refused.extend([error] if error is not None else [])

    for topic in TOPICS:
        for key, value in mutants(topic, seed, n):
            if topic == "instruments" and key is None:
                key = b""  # a compacted topic refuses its whole batch
            while len(producer) >= _MOST_QUEUED:
                producer.poll(0.1)
            producer.produce(settings.topic(topic), value, key, on_delivery=told)
            producer.poll(0)
            sent[topic] += 1
    assert producer.flush(120) == 0
    assert not refused
    return sent


def _until_kept(settings: Settings, sent: Counter[str], workers: subprocess.Popen[bytes]) -> None:
    """Rows are counted only once all is read: a count over all of them is slow."""
    seen: Counter[str] = Counter()
    until = time.monotonic() + _STILL_S
    while missing := _unread(settings, sent) or _unkept(settings, sent):
        assert workers.poll() is None, "the supervisor gave up: its last lines are above"
        if missing != seen:
            seen, until = missing, time.monotonic() + _STILL_S
        assert time.monotonic() < until, f"neither a row nor a letter: {missing}"
        time.sleep(1.0)


def _unread(settings: Settings, sent: Counter[str]) -> Counter[str]:
    """Mutants that a role has still to read, by role and topic."""
    unread: Counter[str] = Counter()
    for role, topics in READ.items():
        read: Counter[str] = Counter()
        for (topic, _), (at, _) in how_far(settings, role).items():
            read[topic] += at
        unread |= {f"{role}: {topic}": sent[topic] - read[topic] for topic in topics}
    return +unread


def _unkept(settings: Settings, sent: Counter[str]) -> Counter[str]:
    """Mutants with neither a row nor a letter, by topic, and letters not archived."""
    with _connect(settings) as connection:
        unkept = Counter(
            {
                topic: sent[topic] - _one(connection, _KEPT.format(table=table), {"topic": topic})
                for topic, table in _TABLES.items()
            }
        )
    unkept["dead-letters"] = unarchived(settings, ["dead-letters"])
    return Counter({topic: n for topic, n in unkept.items() if n})


def _one(connection: psycopg.Connection, query: str, given: dict[str, str]) -> int:
    row = connection.execute(query.encode(), given).fetchone()
    assert row is not None
    return int(row[0])


def _connect(settings: Settings) -> psycopg.Connection:
    dsn = settings.database.get_secret_value()
    return psycopg.connect(dsn, options=f"-c search_path={settings.namespace},public")
