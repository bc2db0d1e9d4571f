"""`tapewire dataset build` over a stored synthetic market, from trades and from minute bars."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from stream.datasets.synthetic import generate
from stream.events import Bar, SentimentScored, Tick, micros, moment
from stream.settings import Settings
from tests.bench.workload import namespace
from tests.history import stored_history
from tests.integration.training.test_history_order import store
from training.stored import Stored

N_SYMBOLS = 48
N_PARTITIONS = 4
RUNS = 3
JOBS = 2
MINUTE = 60_000_000


def run(stack: dict[str, str]) -> dict[str, object]:
    """Labelled rows a second of wall and of CPU time, start of the processes and card included."""
    history = stored_history(generate(7, 1.0, n_symbols=N_SYMBOLS), N_PARTITIONS)
    events = {partition: list(each) for partition, each in history}
    found: dict[str, object] = {}
    for tape in ("ticks", "bars"):
        settings = namespace(stack, tape=tape, partitions=N_PARTITIONS)
        place = (settings.database.get_secret_value(), settings.namespace)
        n_events = 0
        for partition, each in events.items():
            rows = each if tape == "ticks" else list(as_bars(each))
            n_events += len(rows)
            store(place, ((s.event, partition, n, s.at_us, topic_of(s.event))
                          for n, s in enumerate(rows)))  # fmt: skip
        times, cpu, told = zip(*(built(settings) for _ in range(RUNS)), strict=True)
        n_rows = told[0]["rows"]
        found[tape] = {
            "events": n_events,
            "rows": n_rows,
            "features": told[0]["features"],
            "rows_per_s": round(n_rows / statistics.median(times)),
            "rows_per_cpu_s": round(n_rows / statistics.median(cpu)),
        }
    return found


def built(settings: Settings) -> tuple[float, float, dict[str, int]]:
    """Seconds of wall and of CPU time that the command took, and what it told."""
    env = {
        **os.environ,
        "TAPEWIRE_BROKER": settings.broker,
        "TAPEWIRE_DATABASE": settings.database.get_secret_value(),
        "TAPEWIRE_NAMESPACE": settings.namespace,
        "TAPEWIRE_TAPE": settings.tape,
        "TAPEWIRE_MODE": settings.mode,
    }
    with tempfile.TemporaryDirectory() as folder:
        words = ["dataset", "build", str(Path(folder, "rows")), "--jobs", str(JOBS), "--json"]
        before, began = os.times(), time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "stream.cli", *words],
            env=env,
            stdout=subprocess.PIPE,
            check=True,
        )
        wall_s, after = time.perf_counter() - began, os.times()
    cpu_s = after.children_user + after.children_system
    cpu_s -= before.children_user + before.children_system
    return wall_s, cpu_s, json.loads(done.stdout)


def topic_of(event: object) -> str:
    """An id of the topic: trades, bars and the clock share one."""
    return "sentiment" if type(event) is SentimentScored else "tape"


def as_bars(events: Iterable[Stored]) -> Iterator[Stored]:
    """Trades as a bar a minute and symbol, given when the first trade of a later one comes."""
    trades: dict[str, list[Tick]] = {}
    for event, offset, at_us in events:
        if type(event) is not Tick:
            yield Stored(event, offset, at_us)
            continue
        known = trades.setdefault(event.symbol, [])
        if known and micros(known[0].ts) // MINUTE < micros(event.ts) // MINUTE:
            yield Stored(bar_of(known), offset, at_us)
            known.clear()
        known.append(event)


def bar_of(trades: list[Tick]) -> Bar:
    """The bar of one minute's trades, in order."""
    prices, volume = [each.price for each in trades], sum(each.size for each in trades)
    start = micros(trades[0].ts) // MINUTE * MINUTE
    return Bar(
        symbol=trades[0].symbol, start=moment(start), end=moment(start + MINUTE),
        open=prices[0], high=max(prices), low=min(prices), close=prices[-1], volume=volume,
        vwap=sum(each.price * each.size for each in trades) / volume, n_trades=len(trades),
    )  # fmt: skip
