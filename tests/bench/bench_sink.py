"""Rows a second into TimescaleDB through the archive's sink, beside one INSERT a row."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

import psycopg

from stream.archive.sink import Chunk, Sink
from stream.datasets.synthetic import generate
from stream.events import Tick, decode
from tests.bench.workload import namespace

BATCH = 10_000
N_BATCHES = 10
N_SINGLE = 2_000
RUNS = 3


@dataclass
class Record:
    """A record as Kafka would hand it out."""

    partition: int
    offset: int
    timestamp: int
    key: bytes
    value: bytes


def run(stack: dict[str, str]) -> dict[str, object]:
    """Medians of RUNS, rows a second; the ratio is sink over single inserts."""
    ticks = [t for t in generate(7, 1.0).events() if t.topic == "ticks"][: BATCH * N_BATCHES]
    rows = [Record(0, i, t.at // 1000, t.key, t.value) for i, t in enumerate(ticks)]
    sinks, singles = [], []
    for _ in range(RUNS):
        settings = namespace(stack)
        dsn = settings.database.get_secret_value()
        sink = Sink(dsn, settings.namespace)
        sink.positions(["bench"])
        began = time.perf_counter()
        for start in range(0, len(rows), BATCH):
            batch = rows[start : start + BATCH]
            sink.write([Chunk("ticks", "bench", 0, batch, start, start + len(batch))])
        sinks.append(len(rows) / (time.perf_counter() - began))
        sink.close()
        singles.append(_one_by_one(dsn, settings.namespace, rows[:N_SINGLE]))
    return {
        "sink_rows_per_s": round(statistics.median(sinks)),
        "single_inserts_per_s": round(statistics.median(singles)),
        "ratio": round(statistics.median(sinks) / statistics.median(singles), 1),
        "runs": [round(rate) for rate in sinks],
    }


def _one_by_one(dsn: str, schema: str, rows: list[Record]) -> float:
    with psycopg.connect(dsn, options=f"-c search_path={schema},public") as connection:
        began = time.perf_counter()
        for row in rows:
            tick = decode(Tick, row.value)
            connection.execute(
                'INSERT INTO ticks (symbol, ts, price, size, kafka_ts, topic_id, "partition", '
                '"offset", conditions, exchange, regular) '
                "VALUES (%s, %s, %s, %s, now(), 'single', 0, %s, '', '', true) "
                "ON CONFLICT DO NOTHING",
                (tick.symbol, tick.ts, tick.price, tick.size, row.offset),
            )
        connection.commit()
        return len(rows) / (time.perf_counter() - began)
