"""Tick produced -> its signal read (uncommitted), with a signal for every tick, paced."""

from __future__ import annotations

import statistics
import time
from datetime import UTC, datetime

import confluent_kafka as kafka

from stream.events import Signal, Tick, decode, encode
from stream.settings import Settings
from tests.bench.workload import namespace, roles

TICKS_PER_S = 2_000
SECONDS = 15
WARM_UP_S = 5
SYMBOLS = [f"S{i:03d}" for i in range(100)]


def run(stack: dict[str, str]) -> dict[str, object]:
    """Milliseconds, p50 and p99 over the run after its warm-up."""
    settings = namespace(stack, mode="live", score_every_tick=True)
    with roles(settings, "score"):
        took = _measure(settings)
    cuts = statistics.quantiles(took, n=100)
    return {
        "ticks_per_s": TICKS_PER_S,
        "signals": len(took),
        "p50_ms": round(cuts[49], 1),
        "p99_ms": round(cuts[98], 1),
    }


def _measure(settings: Settings) -> list[float]:
    producer = kafka.Producer(
        {
            "bootstrap.servers": settings.broker,
            "partitioner": "murmur2_random",
            "linger.ms": 1,
            "acks": "1",
        }
    )
    consumer = kafka.Consumer(
        {
            "bootstrap.servers": settings.broker,
            "group.id": f"{settings.namespace}-reader",
            "isolation.level": "read_uncommitted",
            "fetch.wait.max.ms": 5,
        }
    )
    topic = settings.topic("signals")
    consumer.assign([kafka.TopicPartition(topic, p, 0) for p in range(settings.partitions)])
    sent: dict[str, float] = {}
    took: list[float] = []
    waiting: list[tuple[str, float]] = []

    def delivered(began: float) -> object:
        def note(error: object, message: kafka.Message) -> None:
            sent[f"{message.partition()}:{message.offset()}"] = began

        return note

    began = time.perf_counter()
    n = 0
    while (elapsed := time.perf_counter() - began) < SECONDS + 2:
        while n < TICKS_PER_S * min(elapsed, SECONDS):
            symbol = SYMBOLS[n % len(SYMBOLS)]
            tick = Tick(
                symbol=symbol, ts=datetime.now(UTC), price=100 + n % 7 / 100, size=1 + n % 5
            )
            producer.produce(
                settings.topic("ticks"),
                encode(tick),
                symbol.encode(),
                on_delivery=delivered(time.perf_counter()),
            )
            n += 1
        producer.poll(0)
        for message in consumer.consume(500, timeout=0.001):
            now = time.perf_counter()
            signal = decode(Signal, message.value())
            if signal.trigger == "tick":
                waiting.append((signal.trigger_ref, now))
    producer.flush(5)
    for ref, now in waiting:
        if ref in sent and sent[ref] - began > WARM_UP_S:
            took.append((now - sent[ref]) * 1e3)
    consumer.close()
    return took
