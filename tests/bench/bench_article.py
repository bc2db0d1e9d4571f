"""Article produced -> its signal read (committed), by the default sentiment model, paced."""

from __future__ import annotations

import statistics
import time
from datetime import UTC, datetime

import confluent_kafka as kafka

from stream.events import NewsArticle, Signal, decode, encode
from stream.settings import Settings
from tests.bench.workload import namespace, roles
from training.sentiment.templates import sentences

ARTICLES_PER_S = 20
SECONDS = 60
WARM_UP_S = 15
SYMBOLS = [f"S{i:03d}" for i in range(100)]


def run(stack: dict[str, str]) -> dict[str, object]:
    """Milliseconds from an article's reception, one symbol each, no text twice."""
    settings = namespace(stack, mode="live")
    with roles(settings, "sentiment", "score"):
        took = _measure(settings)
    cuts = statistics.quantiles(took, n=100)
    return {
        "articles_per_s": ARTICLES_PER_S,
        "model": settings.sentiment_model,
        "signals": len(took),
        "p50_ms": round(cuts[49], 1),
        "p99_ms": round(cuts[98], 1),
    }


def _measure(settings: Settings) -> list[float]:
    broker = {"bootstrap.servers": settings.broker}
    consumer = kafka.Consumer(
        {
            **broker,
            "group.id": f"{settings.namespace}-reader",
            "isolation.level": "read_committed",
            "fetch.wait.max.ms": 5,
        }
    )
    topic = settings.topic("signals")
    consumer.assign([kafka.TopicPartition(topic, p, 0) for p in range(settings.partitions)])
    producer = kafka.Producer({**broker, "partitioner": "murmur2_random", "linger.ms": 0})
    headlines = [row.text for row in sentences(seed=0)]  # 17 tokens each
    assert len(headlines) >= ARTICLES_PER_S * SECONDS
    sent: dict[str, float] = {}
    took: list[float] = []
    began = time.perf_counter()
    while (elapsed := time.perf_counter() - began) < SECONDS + 4:
        if (n := len(sent)) < ARTICLES_PER_S * min(elapsed, SECONDS):
            article = _article(n, headlines[n])
            sent[article.id] = article.received_at.timestamp() if article.received_at else 0.0
            producer.produce(settings.topic("news"), encode(article), article.id)
        producer.poll(0)
        for message in consumer.consume(100, timeout=0.001):
            signal = decode(Signal, message.value() or b"")
            if signal.trigger == "news" and elapsed > WARM_UP_S:
                took.append((time.time() - sent[signal.trigger_ref]) * 1e3)
    consumer.close()
    return took


def _article(n: int, headline: str) -> NewsArticle:
    now = datetime.now(UTC)
    return NewsArticle(
        id=f"a{n}",
        source="bench",
        published_at=now,
        received_at=now,
        headline=f"{headline} {n}",
        symbols=(SYMBOLS[n % len(SYMBOLS)],),
    )
