"""Tick produced -> its signal read (uncommitted), with a signal for every tick, paced."""

from __future__ import annotations

import multiprocessing
import statistics
import time
from datetime import UTC, datetime
from typing import Literal

import confluent_kafka as kafka
import msgspec

from stream.events import Tick, encode
from stream.settings import Settings
from tests.bench.workload import namespace, roles

TICKS_PER_S = 2_000
SECONDS = 20
WARM_UP_S = 10
SYMBOLS = [f"S{i:03d}" for i in range(100)]


class _Seen(msgspec.Struct):
    """The little of a signal that the reader needs: as_of is the time of the tick behind it."""

    trigger: Literal["tick", "pane", "news"]
    as_of: datetime
    emitted_at: datetime


def run(stack: dict[str, str]) -> dict[str, object]:
    """Milliseconds from a tick's own time, by the partitions that one worker has."""
    return {
        "ticks_per_s": TICKS_PER_S,
        **{f"partitions_{n}": _run(stack, n) for n in (1, 2, 4)},
    }


def _run(stack: dict[str, str], n_partitions: int) -> dict[str, object]:
    settings = namespace(stack, mode="live", score_every_tick=True, partitions=n_partitions)
    ticks = (settings.broker, settings.topic("ticks"))
    # A process of its own: a reader that decodes must not hold up the ticks.
    source = multiprocessing.get_context("spawn").Process(target=_produce, args=ticks)
    with roles(settings, "score"):
        source.start()
        scored, read = _measure(settings)
        source.join()
    return {
        "signals": len(read),
        **_cuts("", read),
        **_cuts("to_scored_", scored),
    }


def _cuts(name: str, took_ms: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(took_ms, n=100)
    return {f"{name}p50_ms": round(cuts[49], 1), f"{name}p99_ms": round(cuts[98], 1)}


def _produce(broker: str, topic: str) -> None:
    producer = kafka.Producer(
        {
            "bootstrap.servers": broker,
            "partitioner": "murmur2_random",
            "linger.ms": 1,
            "acks": "1",
        }
    )
    began = time.perf_counter()
    for n in range(TICKS_PER_S * SECONDS):
        while n > TICKS_PER_S * (time.perf_counter() - began):
            producer.poll(0)
            time.sleep(0.0005)
        symbol = SYMBOLS[n % len(SYMBOLS)]
        tick = Tick(symbol=symbol, ts=datetime.now(UTC), price=100 + n % 7 / 100, size=1 + n % 5)
        producer.produce(topic, encode(tick), symbol.encode())
    producer.flush(5)


def _measure(settings: Settings) -> tuple[list[float], list[float]]:
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
    decoder = msgspec.json.Decoder(_Seen)
    scored: list[float] = []
    read: list[float] = []
    began = time.perf_counter()
    while (elapsed := time.perf_counter() - began) < SECONDS + 4:
        for message in consumer.consume(100, timeout=0.001):
            now = time.time()
            signal = decoder.decode(message.value() or b"")
            if signal.trigger == "tick" and elapsed > WARM_UP_S:
                at = signal.as_of.timestamp()
                scored.append((signal.emitted_at.timestamp() - at) * 1e3)
                read.append((now - at) * 1e3)
    consumer.close()
    return scored, read
