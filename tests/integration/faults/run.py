"""One run of the matrix: a recorded stream, a plug pulled in the middle, and the account after."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import confluent_kafka as kafka
import msgspec
import psycopg

from stream.engine.clients import reading_options
from stream.engine.topics import create_topics
from stream.events import MarketPane, Signal
from stream.settings import Settings
from tests.e2e.servers import environment, verified
from tests.integration.engine.log import how_far, messages, read
from tests.integration.faults.plugs import children
from tests.integration.faults.recorded import Sent, recorded
from tests.integration.faults.sabotaged import HELD_S
from training.proof import UNEQUAL

TAPE = timedelta(minutes=20)
PUBLISHED_S = 12.0
TICKS_PER_S = 800
_HEAD_S = 3.0  # of the stream before any plug is pulled: several checkpoints
_ENDS_S = 120.0
_TABLES = {
    "sentiment": "SELECT count(*) FROM sentiments",
    "panes": "SELECT count(*) FROM bars WHERE origin = 'pane'",
    "signals": "SELECT count(*) FROM signals",
    "pane-ends": "SELECT count(*) FROM pane_ends",
    "market": "SELECT count(*) FROM market_panes",
    "late-events": "SELECT count(*) FROM late_events",
    "dead-letters": "SELECT count(*) FROM dead_letters WHERE role <> 'archive'",
}
# Pulls the plug; told the run's supervisor and the environment of its workers.
Pull = Callable[[subprocess.Popen[bytes], dict[str, str]], None]


@dataclass(frozen=True)
class Outcome:
    """What a run left behind. All but the last two must be 0."""

    lost: int  # inputs without a row or a dead letter, by `verify`'s accounts and by our count
    unarchived: int  # committed records of output topics without their row, or rows without one
    twice: int  # signals and MarketPanes that a read-committed subscriber saw more than once
    unproven: int  # of them, those `verify` found different, missing, extra or could not compare
    exit_code: int  # of `verify`
    recovery_s: float  # from the pull to the first signal committed after it
    twice_uncommitted: int  # signals that a reader of uncommitted records saw again
    n_signals: int

    def raise_if_wrong(self) -> None:
        """AssertionError that says all of it."""
        wrong = (self.lost, self.unarchived, self.twice, self.unproven, self.exit_code)
        assert wrong == (0, 0, 0, 0, 0), asdict(self)


def run(
    settings: Settings,
    seed: int,
    pull: Pull,
    *,
    published_s: float = PUBLISHED_S,
    sabotage: str | None = None,
) -> Outcome:
    """Publish a recorded stream through real workers, pull at a seeded moment, account for all."""
    env = environment(
        settings,
        TAPEWIRE_PARTITIONS=str(settings.partitions),
        TAPEWIRE_REPLICATION=str(settings.replication),
        TAPEWIRE_DATA_DIR=str(settings.data_dir),
    )
    rng = random.Random(seed)
    now = datetime.now(UTC)
    stream = recorded(
        seed,
        start=now - TAPE,
        span=TAPE,
        n_ticks=int(TICKS_PER_S * published_s),
        n_partitions=settings.partitions,
    )
    asyncio.run(create_topics(settings))
    subprocess.run([sys.executable, "-m", "stream.cli", "migrate"], env=env, check=True)
    with supervised(env, sabotage) as workers, Watch(settings) as watch:
        head = len(stream) // 10
        _publish(settings, stream[:head], _HEAD_S)
        _until(lambda: watch.first_after(0.0) < time.monotonic(), "the first signal")
        _until(lambda: not unarchived(settings), "the archive works")
        publishing = threading.Thread(target=_publish, args=(settings, stream[head:], published_s))
        publishing.start()
        time.sleep(PUBLISHED_S * rng.uniform(0.2, 0.5))
        pulled = time.monotonic()
        pull(workers, env)
        publishing.join(_ENDS_S)
        assert not publishing.is_alive(), "the stream could not be published to its end"
        published = Counter(sent.topic for sent in stream)
        _until(
            lambda: _all_applied(settings, published),
            "the roles read to the end",
            lambda: str({role: how_far(settings, role) for role in _READS}),
        )
        if sabotage:
            time.sleep(2 * HELD_S)  # where nothing was pulled, all that it holds comes
        _until(
            lambda: not unarchived(settings),
            "the archive has all outputs",
            lambda: f"{archived(settings)}, lag {how_far(settings, 'archive')}",
        )
        recovery_s = watch.first_after(pulled) - pulled
    ids = _signal_ids(settings, "read_committed")
    seen = _signal_ids(settings, "read_uncommitted")
    panes = _market_panes(settings)
    code, found = verified(env)
    read_by_topic: Counter[str] = Counter()
    for account in found["accounts"]:
        read_by_topic[account["topic"]] += account["read"]
    lost = sum(each["unaccounted"] for each in (*found["accounts"], *found["roles"]))
    lost += sum(abs(each["unarchived"]) for each in found["roles"])
    # Over a broker's crash a publisher may send one again.
    lost += sum(max(0, n - read_by_topic[topic]) for topic, n in published.items())
    if lost:
        print(f"published {dict(published)}, found {found}", file=sys.stderr)
    return Outcome(
        lost=lost,
        unarchived=unarchived(settings),
        twice=len(ids) - len(set(ids)) + len(panes) - len(set(panes)),
        unproven=sum(found[kind] + found["market"][kind] for kind in (*UNEQUAL, "pending")),
        exit_code=code,
        recovery_s=round(recovery_s, 1),
        twice_uncommitted=len(seen) - len(set(seen)),
        n_signals=len(ids),
    )


@contextmanager
def supervised(
    env: dict[str, str], sabotage: str | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """All roles but the clock, whose beats the stream has, under one supervisor."""
    roles = ["sentiment", f"score={sabotage}" if sabotage else "score", "market", "archive"]
    workers = subprocess.Popen([sys.executable, "-m", "tests.supervised", *roles], env=env)
    try:
        _until(lambda: len(children(workers.pid)) >= len(roles), "all roles")
        yield workers
        assert workers.poll() is None, "the supervisor gave up: its last lines are above"
        workers.send_signal(signal.SIGTERM)
        assert workers.wait(20) == 0
    finally:
        workers.kill()
        workers.wait()


class Watch:
    """When committed signals came, as a subscriber sees them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._came: list[float] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._read)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def first_after(self, moment: float) -> float:
        return next((came for came in self._came if came > moment + 0.2), float("inf"))

    def longest_silence_s(self, since: float, until: float) -> float:
        """The longest time between two of them, in a span of the monotonic clock."""
        came = [since, *(moment for moment in self._came if since < moment < until), until]
        return max(later - earlier for earlier, later in pairwise(came))

    def _read(self) -> None:
        options = reading_options(self._settings, isolation="read_committed")
        consumer = kafka.Consumer({**options, "fetch.wait.max.ms": 20})
        signals, partitions = self._settings.topic("signals"), range(self._settings.partitions)
        consumer.assign([kafka.TopicPartition(signals, p, 0) for p in partitions])
        while not self._over.is_set():
            if any(not message.error() for message in consumer.consume(1_000, 0.1)):
                self._came.append(time.monotonic())
        consumer.close()


def _publish(settings: Settings, stream: list[Sent], span_s: float) -> None:
    """In order, evenly over `span_s`; a broker that is away only makes it later."""
    producer = kafka.Producer(
        {
            "bootstrap.servers": settings.broker,
            "enable.idempotence": True,
            "partitioner": "murmur2_random",
            "message.timeout.ms": 110_000,
            "log_level": 0,
        }
    )
    refused: list[kafka.KafkaError] = []

    def told(error: kafka.KafkaError | None, _: object) -> None:
        refused.extend([error] if error is not None else [])

    began = time.monotonic()
    for i, sent in enumerate(stream):
        due = began + span_s * i / len(stream)
        while (left := due - time.monotonic()) > 0:
            producer.poll(min(left, 0.02))
        where = {} if sent.partition is None else {"partition": sent.partition}
        at_ms = int(sent.at.timestamp() * 1000)
        topic = settings.topic(sent.topic)
        producer.produce(topic, sent.value, sent.key, timestamp=at_ms, on_delivery=told, **where)
    assert producer.flush(110) == 0
    assert not refused, refused


_READS = {
    "sentiment": ("news",),
    "score": ("ticks", "sentiment", "market"),
    "market": ("pane-ends",),
    "archive": ("news", "ticks"),  # what comes out is counted
}


def _all_applied(settings: Settings, published: Counter[str]) -> bool:
    for role, topics in _READS.items():
        lag = how_far(settings, role)
        mine = {place: ends for place, ends in lag.items() if place[0] in topics}
        if len({topic for topic, _ in mine}) < len(topics):
            return False
        if any(position < end for position, end in mine.values()):
            return False
        ends = Counter[str]()
        for (topic, _), (_, end) in mine.items():
            ends[topic] += end
        if any(ends[topic] < n for topic, n in published.items() if topic in topics):
            return False
    return True


def unarchived(settings: Settings, topics: Collection[str] = tuple(_TABLES)) -> int:
    """Committed records of output topics without a row, or rows without one."""
    return sum(abs(n - rows) for n, rows in archived(settings, topics).values())


def archived(
    settings: Settings, topics: Collection[str] = tuple(_TABLES)
) -> dict[str, tuple[int, int]]:
    """Committed records and rows of each topic."""
    found = {}
    with psycopg.connect(
        settings.database.get_secret_value(), options=f"-c search_path={settings.namespace},public"
    ) as connection:
        for topic in topics:
            row = connection.execute(_TABLES[topic].encode()).fetchone()
            assert row is not None
            found[topic] = sum(1 for _ in messages(settings, topic)), row[0]
    return found


def _signal_ids(settings: Settings, isolation: str) -> list[str]:
    found = read(settings, "signals", isolation).values()
    return [
        msgspec.json.decode(value, type=Signal).signal_id for part in found for _, value in part
    ]


def _market_panes(settings: Settings) -> list[tuple[int, datetime]]:
    """Partition and end of every committed copy."""
    logs = read(settings, "market").items()
    return [(p, msgspec.json.decode(raw, type=MarketPane).end) for p, log in logs for _, raw in log]


def _until(
    holds: Callable[[], bool], what: str, seen: Callable[[], str] = lambda: "nothing"
) -> None:
    until = time.monotonic() + _ENDS_S
    while not holds():
        assert time.monotonic() < until, f"waited {_ENDS_S:g} s in vain: {what}; found {seen()}"
        time.sleep(0.3)
