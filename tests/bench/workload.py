"""What the benchmarks share: a namespace with real ticks, roles as processes, progress."""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from pydantic import SecretStr
from pydantic_core import to_json

from stream.archive.migrate import migrate
from stream.datasets.dataset import Dataset, Timed
from stream.datasets.loader import load
from stream.datasets.recorded import open_dataset
from stream.datasets.synthetic import generate
from stream.engine.topics import create_topics, lag
from stream.settings import Settings

REAL = pathlib.Path(__file__).parents[3] / "shared" / "data" / "us_equity_ticks"
_SERIAL = itertools.count()


def namespace(stack: dict[str, str], **given: object) -> Settings:
    """Settings of a fresh replay namespace on the real servers, topics and schema made."""
    settings = Settings(
        broker=stack["TAPEWIRE_BROKER"],
        database=stack["TAPEWIRE_DATABASE"],
        redis=stack["TAPEWIRE_REDIS"],
        namespace=f"bench_{os.getpid()}_{time.time_ns() // 10**9 % 10**6}_{next(_SERIAL)}",
        **{"mode": "replay", **given},  # type: ignore[arg-type]
    )
    asyncio.run(create_topics(settings))
    migrate(settings.database.get_secret_value(), settings.namespace)
    return settings


def dataset_of_ticks(n_ticks: int) -> tuple[Dataset, int | None]:
    """Real trades where they are at hand, else synthetic; and where to stop (us)."""
    dataset: Dataset = open_dataset(REAL) if REAL.is_dir() else generate(7, 1.0)
    ticks = (at for topic, at, _, _ in dataset.events() if topic == "ticks")
    return dataset, next(itertools.islice(ticks, n_ticks, None), None)


def preload(settings: Settings, n_ticks: int) -> int:
    """Publish about `n_ticks` with nobody reading; returns how many went in."""
    return publish(settings, *dataset_of_ticks(n_ticks))


def publish(settings: Settings, dataset: Dataset, until: int | None = None) -> int:
    """Publish a dataset with nobody reading; returns how many ticks went in."""
    summary = asyncio.run(load(settings, dataset, until_us=until, wait_for=()))
    return summary.events_in["ticks"]


def twinned(dataset: Dataset) -> Dataset:
    """The market with every symbol's tape a second time, under another symbol."""

    def events() -> Iterator[Timed]:
        for timed in dataset.events():
            yield timed
            if timed.topic == dataset.tape:
                event = msgspec.json.decode(timed.value)
                event["symbol"] = _twin(event["symbol"])
                key, value = event["symbol"].encode(), msgspec.json.encode(event)
                yield timed._replace(key=key, value=value)

    twins = (msgspec.structs.replace(i, symbol=_twin(i.symbol)) for i in dataset.instruments)
    instruments = (*dataset.instruments, *twins)
    return dataclasses.replace(dataset, instruments=instruments, events=events)


def _twin(symbol: str) -> str:
    return f"{symbol}.T"


@contextmanager
def roles(settings: Settings, *names: str, command: list[str] | None = None) -> Iterator[list[int]]:
    """Run roles as processes, as on a live namespace's backlog; yields their pids.

    In a replay `score` would wait for the market's answers.
    """
    env = {**os.environ, **{f"TAPEWIRE_{name.upper()}": _told(value) for name, value in settings
                            if value is not None}, "TAPEWIRE_MODE": "live"}  # fmt: skip
    made = [
        subprocess.Popen(
            command or [sys.executable, "-m", "stream.cli", "worker", "--role", name], env=env
        )
        for name in names
    ]
    try:
        yield [process.pid for process in made]
    finally:
        for process in made:
            process.send_signal(signal.SIGTERM)
        for process in made:
            process.wait(10)


def _told(value: object) -> str:
    """A setting as the environment has it."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    structured = isinstance(value, list | tuple | dict | set | frozenset)
    return to_json(value).decode() if structured else str(value)


def rates_to_the_end(
    settings: Settings, groups: list[str], topic: str, *, limit_s: float = 300
) -> list[float]:
    """For each group the records a second from its first committed position to its end."""
    began: dict[str, tuple[float, int]] = {}
    rates: dict[str, float] = {}
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        for group in groups:
            at, end = asyncio.run(lag(settings, group)).get(topic, (0, 1))
            now = time.perf_counter()
            if at > 0 and group not in began:
                began[group] = (now, at)
            elif at >= end and group not in rates:
                since, first = began[group]
                rates[group] = (at - first) / (now - since)
        if len(rates) == len(groups):
            return [rates[group] for group in groups]
        time.sleep(0.05)
    raise TimeoutError(f"{groups} did not reach the end of {topic} in {limit_s:g} s")


def rate_and_cpu(
    settings: Settings, group: str, topic: str, n_records: int, pid: int, *, limit_s: float = 120
) -> tuple[float, float]:
    """Records a second, and CPU microseconds a record of process `pid`, until `n_records` are read.

    Both from the group's first committed position on.
    """
    began: tuple[float, float, int] | None = None
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        at, _ = asyncio.run(lag(settings, group)).get(topic, (0, 0))
        now = time.perf_counter()
        if began is None and at > 0:
            began = (now, cpu_s(pid), at)
        elif began is not None and at >= n_records:
            since, cpu, first = began
            return (at - first) / (now - since), (cpu_s(pid) - cpu) / (at - first) * 1e6
        time.sleep(0.05)
    raise TimeoutError(f"{group} did not read the {n_records} of {topic} in {limit_s:g} s")


def records_in(settings: Settings, full_name: str) -> int:
    """Offsets in all partitions of a topic."""
    with _reader(settings) as consumer:
        places = [TopicPartition(full_name, p) for p in range(settings.partitions)]
        return sum(consumer.get_watermark_offsets(place, timeout=15)[1] for place in places)


def read_topic(settings: Settings, full_name: str, *, committed: bool = True) -> list[Any]:
    """All JSON values of a topic, by default those of committed transactions only.

    Raises ValueError where the broker has already deleted some.
    """
    found = []
    with _reader(settings, committed) as consumer:
        places = [TopicPartition(full_name, p, 0) for p in range(settings.partitions)]
        for place in places:
            first, _ = consumer.get_watermark_offsets(place, timeout=15)
            if first:
                raise ValueError(f"{full_name}: expected all records, {first} are deleted")
        consumer.assign(places)
        unread = len(places)
        while unread:
            message = consumer.poll(15)
            if message is None:
                raise TimeoutError(f"{full_name}: its end was not reached")
            if message.error() is None:
                found.append(json.loads(message.value()))
            elif message.error().code() == KafkaError._PARTITION_EOF:
                unread -= 1
            else:
                raise KafkaException(message.error())
    return found


@contextmanager
def _reader(settings: Settings, committed: bool = True) -> Iterator[Consumer]:
    consumer = Consumer(
        {
            "bootstrap.servers": settings.broker,
            "group.id": f"{settings.namespace}-bench",
            "isolation.level": "read_committed" if committed else "read_uncommitted",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "log_level": 0,
        }
    )
    try:
        yield consumer
    finally:
        consumer.close()


def cpu_s(pid: int) -> float:
    """CPU seconds of all threads of a process, user and system."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    """Peak resident memory of a process in MB."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise ProcessLookupError(pid)
