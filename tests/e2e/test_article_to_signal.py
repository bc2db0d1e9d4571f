"""The main job on real servers: article and ticks in, one signal out, the same on topic and in SQL.

Every role is a real process, started as the supervisor starts it.
"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import confluent_kafka as kafka
import msgspec
import pytest

from stream.engine.topics import create_topics, partition_of
from stream.events import MARKET_KEY, ClockTick, NewsArticle, Signal, Tick, decode, encode
from stream.settings import Settings
from tests.e2e.servers import WAIT_S, environment, rows_of

pytestmark = pytest.mark.stack


@pytest.fixture
def worker(settings: Callable[..., Settings]) -> Iterator[Settings]:
    """All roles but the clock, on the real servers; gone within 5 s of SIGTERM."""
    mine = settings(mode="replay", lateness_s=2.0)
    env = environment(mine, TAPEWIRE_RULES_MAY_ACT="true")
    asyncio.run(create_topics(mine))
    subprocess.run([sys.executable, "-m", "stream.cli", "migrate"], env=env, check=True)
    process = subprocess.Popen([sys.executable, "-m", "stream.cli", "worker"], env=env)
    yield mine
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


def publish(settings: Settings, records: list[tuple[str, str, msgspec.Struct, datetime]]) -> None:
    """Send (topic, key, event, Kafka time); clock ticks go to every partition."""
    producer = kafka.Producer(
        {"bootstrap.servers": settings.broker, "partitioner": "murmur2_random"}
    )
    for topic, key, event, at in records:
        everywhere = range(settings.partitions) if key == MARKET_KEY else [-1]
        for partition in everywhere:
            producer.produce(
                settings.topic(topic),
                encode(event),
                key.encode(),
                partition=partition,
                timestamp=int(at.timestamp() * 1000),
            )
    assert producer.flush(10) == 0


def read_signals(settings: Settings, enough: Callable[[list[Signal]], bool]) -> list[Signal]:
    consumer = kafka.Consumer(
        {
            "bootstrap.servers": settings.broker,
            "group.id": f"{settings.namespace}-reader",
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
        }
    )
    topic = settings.topic("signals")
    consumer.assign(
        [kafka.TopicPartition(topic, p, kafka.OFFSET_BEGINNING) for p in range(settings.partitions)]
    )
    found: list[Signal] = []
    until = time.monotonic() + WAIT_S
    try:
        while time.monotonic() < until and not enough(found):
            message = consumer.poll(0.2)
            if message is not None and not message.error():
                found.append(decode(Signal, message.value()))
    finally:
        consumer.close()
    assert enough(found), f"signals so far: {[(s.trigger, s.symbol) for s in found]}"
    return found


def test_an_article_and_ticks_give_a_signal_that_is_the_same_on_the_topic_and_in_sql(
    worker: Settings,
) -> None:
    t0 = datetime(2024, 3, 5, 15, 0, tzinfo=UTC)
    second = timedelta(seconds=1)
    tape: list[Tick | ClockTick] = [
        Tick(symbol="AAPL", ts=t0 + i * second, price=100 + i / 100, size=10) for i in range(90)
    ]
    tape += [ClockTick(kind="beat", at=t0 + i * second) for i in (30, 60, 90, 120, 180, 240)]
    article = NewsArticle(
        id="wire-1",
        source="wire",
        published_at=t0 + 60 * second,
        received_at=t0 + 61 * second,
        headline="Apple beats estimates as profit surges to a record",
        symbols=("AAPL",),
    )
    records = [
        ("ticks", "AAPL", e, e.ts) if isinstance(e, Tick) else ("ticks", MARKET_KEY, e, e.at)
        for e in tape
    ]
    records.sort(key=lambda record: record[3])
    publish(worker, [("news", article.id, article, article.received_at), *records])

    signals = read_signals(
        worker,
        lambda found: {"news", "pane"} <= {s.trigger for s in found if s.symbol == "AAPL"},
    )
    by_news = next(s for s in signals if s.trigger == "news")
    assert by_news.evidence == ("wire-1",)
    assert by_news.trigger_ref == "wire-1"
    assert by_news.as_of >= article.received_at
    assert by_news.score > 0
    assert any("wire-1" in sentence for sentence in by_news.reasons)
    assert set(by_news.positions) >= {"ticks", "sentiment"}
    assert partition_of(b"AAPL", worker.partitions) in range(worker.partitions)

    row = rows_of(worker, f"SELECT * FROM signals WHERE signal_id = '{by_news.signal_id}'", 1)[0]
    assert row["symbol"] == by_news.symbol
    assert row["score"] == by_news.score
    assert row["as_of"] == by_news.as_of
    assert list(row["evidence"]) == list(by_news.evidence)
    assert list(row["sentiment_models"]) == list(by_news.sentiment_models) != []
    assert row["positions"] == by_news.positions
    assert row["model_version"] == by_news.model.version
    assert list(row["features"]) == list(by_news.features.values())
    assert row["abstain_reason"] == by_news.abstain_reason


def test_check_finds_every_server_and_no_lag_of_unread_topics(worker: Settings) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "stream.cli", "check", "--json"],
        env=environment(worker),
        capture_output=True,
        text=True,
        check=False,
    )
    found = json.loads(done.stdout)
    assert all(one["ok"] for one in found.values()), found
    assert "signals" in found["broker"]["topics"]
    assert found["database"]["migrated"] is True
