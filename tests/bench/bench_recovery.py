"""kill -9 of a supervised `score` -> the next signal that a read-committed subscriber sees."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import statistics
import sys
import time
from datetime import UTC, datetime

import confluent_kafka as kafka

from stream.engine.clients import reading_options
from stream.engine.spare import AFTER_S
from stream.events import Tick, encode
from stream.settings import Settings
from tests.bench.workload import namespace, roles
from tests.integration.faults.plugs import children

TICKS_PER_S = 500
KILLS = {100: 20, 1_000: 8}  # by symbols
KILLS_AT_START = 5  # before another process stands by
# From the first signal to the kill: at a moment that is no multiple of anything.
_SETTLED_S = (AFTER_S + 3.0, AFTER_S + 4.0)
_AT_START_S = (0.2, 0.8)
_GIVE_UP_S = 60.0


def run(stack: dict[str, str]) -> dict[str, object]:
    """Seconds from the kill to the signal, by symbols; and where no other process stood by yet."""
    settled = {f"symbols_{n}": _run(stack, n, kills, _SETTLED_S) for n, kills in KILLS.items()}
    return {**settled, "symbols_100_at_start": _run(stack, 100, KILLS_AT_START, _AT_START_S)}


def _run(
    stack: dict[str, str], n_symbols: int, kills: int, after_s: tuple[float, float]
) -> dict[str, object]:
    settings = namespace(stack, mode="live", score_every_tick=True)
    source = multiprocessing.get_context("spawn").Process(
        target=_produce, args=(settings.broker, settings.topic("ticks"), n_symbols), daemon=True
    )
    source.start()
    try:
        took = _kill_often(settings, kills, after_s)
    finally:
        source.terminate()
    cuts = statistics.quantiles(took, n=20)
    return {"kills": len(took), "p50_s": round(statistics.median(took), 2),
            "p95_s": round(cuts[18], 2), "worst_s": round(max(took), 2)}  # fmt: skip


def _kill_often(settings: Settings, kills: int, after_s: tuple[float, float]) -> list[float]:
    """Each time under a supervisor that has not seen a crash: its back-off is not what counts."""
    command = [sys.executable, "-m", "tests.supervised", "score"]
    consumer = kafka.Consumer(
        reading_options(settings, isolation="read_committed") | {"fetch.wait.max.ms": 5}
    )
    topic = settings.topic("signals")
    consumer.assign([kafka.TopicPartition(topic, p, 0) for p in range(settings.partitions)])
    rng = random.Random(kills)
    took = []
    for _ in range(kills):
        with roles(settings, "score", command=command) as (supervisor,):
            began = time.time()
            while _next_signal(consumer) < began:  # those before it were read late
                continue
            _read_for(consumer, rng.uniform(*after_s))
            score = children(supervisor)[0]  # the younger one stands by
            os.kill(score, signal.SIGKILL)
            killed = time.time()
            while _next_signal(consumer) < killed:
                continue
            took.append(time.time() - killed)
    consumer.close()
    return took


def _next_signal(consumer: kafka.Consumer) -> float:
    """Wait for a committed signal; the broker's time of it."""
    until = time.monotonic() + _GIVE_UP_S
    while time.monotonic() < until:
        message = consumer.poll(0.2)
        if message is not None and not message.error():
            return float(message.timestamp()[1]) / 1000
    raise TimeoutError(f"no signal in {_GIVE_UP_S:g} s")


def _read_for(consumer: kafka.Consumer, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        consumer.consume(1_000, 0.02)


def _produce(broker: str, topic: str, n_symbols: int) -> None:
    producer = kafka.Producer(
        {"bootstrap.servers": broker, "partitioner": "murmur2_random", "linger.ms": 1}
    )
    began, n = time.perf_counter(), 0
    while True:
        while n > TICKS_PER_S * (time.perf_counter() - began):
            producer.poll(0)
            time.sleep(0.001)
        symbol = f"S{n % n_symbols:04d}"
        tick = Tick(symbol=symbol, ts=datetime.now(UTC), price=100 + n % 7 / 100, size=1 + n % 5)
        producer.produce(topic, encode(tick), symbol.encode())
        n += 1
