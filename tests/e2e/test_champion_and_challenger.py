"""Two models at work on real servers: shadows and outcomes that training agrees with, and swaps."""

from __future__ import annotations

import asyncio
import itertools
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import confluent_kafka as kafka
import numpy as np
import psycopg
import pytest
from typer.testing import CliRunner

from models.artifact import Artifact
from models.registry import Registry
from stream.archive.migrate import migrate
from stream.cli.app import app
from stream.cli.models import announce
from stream.engine.clients import reading_options
from stream.engine.topics import create_topics, partition_of
from stream.events import MARKET_KEY, Alias, ClockTick, Signal, Tick, decode, encode, moment
from stream.scoring.configured import policy_of
from stream.settings import Settings
from tests.artifacts import intraday_artifact
from tests.e2e.servers import WAIT_S, environment, publish, rows_of
from training.history import open_history
from training.outcomes import record_outcomes
from training.proof import Chosen
from training.replay import replay
from training.stored_signals import signal_partitions
from training.verify import verify

pytestmark = pytest.mark.stack

SYMBOLS = ("AAPL", "IBM", "MSFT", "XOM")
T0 = datetime(2024, 3, 5, 15, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
N_MINUTES = 130  # of each day
N_DAYS = 3


def prepared(settings: Settings) -> tuple[Artifact, Artifact]:
    """Topics, tables, and two stored models."""
    dsn, schema = settings.database.get_secret_value(), settings.namespace
    asyncio.run(create_topics(settings))
    migrate(dsn, schema)
    pair = intraday_artifact(1), intraday_artifact(2)
    for artifact in pair:
        Registry(dsn, schema).save(artifact, {"says": "PASS"})
    return pair


def move(settings: Settings, alias: Alias, version: str) -> None:
    Registry(settings.database.get_secret_value(), settings.namespace).promote(
        alias, version, "ann", "test"
    )
    announce(settings, alias)


@contextmanager
def working(settings: Settings, *roles: str) -> Iterator[None]:
    env = environment(
        settings,
        TAPEWIRE_PARTITIONS=str(settings.partitions),
        TAPEWIRE_CHALLENGER_SHARE=str(settings.challenger_share),
        TAPEWIRE_SCORE_EVERY_TICK=str(settings.score_every_tick),
    )
    processes = [
        subprocess.Popen([sys.executable, "-m", "stream.cli", "worker", "--role", role], env=env)
        for role in roles
    ]
    try:
        yield
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            process.wait(30)


def tape(settings: Settings) -> Iterator[tuple[str, str, bytes, int]]:
    """Three sessions of a random walk, a trade a minute and symbol; XOM stops early on one day."""
    draw = np.random.default_rng(3)
    price = dict.fromkeys(SYMBOLS, 100.0)
    for day, i in itertools.product(range(N_DAYS), range(N_MINUTES)):
        at = T0 + timedelta(days=day) + i * MINUTE
        at_ms = int(at.timestamp() * 1000)
        if i in (0, N_MINUTES - 10):
            kind = "close" if i else "open"
            stated = ClockTick(kind=kind, at=at, calendar="XNYS", session=at.date())
            yield "ticks", MARKET_KEY, encode(stated), at_ms
        beat = ClockTick(kind="beat", at=at)
        yield "ticks", MARKET_KEY, encode(beat), at_ms
        for symbol in SYMBOLS:
            price[symbol] *= 1 + draw.normal(0, 0.002)
            if (symbol, day) != ("XOM", 1) or i < 20:
                own = round(price[symbol], 2)
                quote = {"bid": own - 0.02, "ask": own + 0.01} if symbol == "AAPL" else {}
                tick = Tick(symbol=symbol, ts=at, price=own, size=10, **quote)
                yield "ticks", symbol, encode(tick), at_ms
    end = at + 5 * MINUTE  # closes what is open
    for symbol in SYMBOLS:
        tick = Tick(symbol=symbol, ts=end, price=99, size=1)
        yield "ticks", symbol, encode(tick), int(end.timestamp() * 1000)


@pytest.fixture
def stored(settings: Callable[..., Settings]) -> Settings:
    """The tape scored by both models and archived; some of the symbols are the challenger's."""
    mine = settings(mode="replay", partitions=2, challenger_share=0.2)
    one, other = prepared(mine)
    move(mine, "champion", one.version)
    move(mine, "challenger", other.version)
    publish(mine, tape(mine))
    with working(mine, "score", "market", "archive"):
        n = N_DAYS * N_MINUTES * len(SYMBOLS) - (N_MINUTES - 20)
        for table in ("signals", "shadow_signals", "bars"):
            rows_of(mine, f"SELECT count(*) FROM {table} HAVING count(*) >= {n}", 1)
    return mine


def test_shadows_are_proven_and_outcomes_are_the_labels_that_training_gives(
    stored: Settings,
) -> None:
    dsn, schema = stored.database.get_secret_value(), stored.namespace
    policy = policy_of(stored)
    with open_history(dsn, schema) as history:
        proof = verify(history, Chosen(), jobs=1)
        n = sum(signal_partitions(history.connection).values())
    assert (proof.counts["equal"], proof.proven) == (2 * n, True), proof.differences
    with psycopg.connect(dsn, options=f"-c search_path={schema}", autocommit=True) as db:
        roles = dict(db.execute("SELECT DISTINCT symbol, model_role FROM signals").fetchall())
        assert roles == {
            each: "challenger" if policy.published_by_challenger(each) else "champion"
            for each in SYMBOLS
        }
        assert set(roles.values()) == {"challenger", "champion"}
        db.execute(
            "UPDATE shadow_signals SET score = score + 1e-15 "
            "WHERE signal_id = (SELECT min(signal_id) FROM shadow_signals)"
        )
        with open_history(dsn, schema) as history:
            tampered = verify(history, Chosen(), jobs=1)
        assert [each.field for each in tampered.differences] == ["score"]

        counts = record_outcomes(dsn, schema)
        assert counts["labelled"] > 800
        assert counts["no entry"] > 0
        assert set(record_outcomes(dsn, schema)) <= {"unmatured"}
        with open_history(dsn, schema) as history:
            rows = replay(history.partitions(), policy, None)
        found = {
            (symbol, as_of): values
            for symbol, as_of, *values in db.execute(
                "SELECT symbol, as_of, forward_return, y, entry_at, exit_at FROM outcomes"
            )
        }
    assert len(rows) > 500
    for symbol, as_of, forward, y, entry, exit_ in zip(
        rows.symbol, rows.as_of_us, rows.forward_return, rows.y, rows.entry_us, rows.exit_us,
        strict=True,
    ):  # fmt: skip
        expected = [forward, y, moment(int(entry)), moment(int(exit_))]
        assert found[str(symbol), moment(int(as_of))] == expected


class Trading(threading.Thread):
    """A trade of each symbol and a beat every 20 ms, now."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(daemon=True)
        self._settings = settings
        self.over = threading.Event()

    def run(self) -> None:
        producer = kafka.Producer({"bootstrap.servers": self._settings.broker, "linger.ms": 0})
        topic, n = self._settings.topic("ticks"), self._settings.partitions
        while not self.over.wait(0.02):
            now = datetime.now(UTC)
            for symbol in SYMBOLS:
                tick = encode(Tick(symbol=symbol, ts=now, price=100.0, size=1.0))
                producer.produce(topic, tick, symbol, partition_of(symbol.encode(), n))
            for partition in range(n):
                producer.produce(
                    topic, encode(ClockTick(kind="beat", at=now)), MARKET_KEY, partition
                )
            producer.poll(0)
        producer.flush(10)


class Reader:
    """The committed signals by partition, in the log's order."""

    def __init__(self, settings: Settings) -> None:
        self._consumer = kafka.Consumer(
            {**reading_options(settings, isolation="read_committed"), "fetch.wait.max.ms": 10}
        )
        topic = settings.topic("signals")
        self._consumer.assign(
            [kafka.TopicPartition(topic, p, 0) for p in range(settings.partitions)]
        )
        self.signals: dict[int, list[Signal]] = {p: [] for p in range(settings.partitions)}

    def until_all_are_by(self, version: str) -> float:
        """Read until the newest signal of every partition is by `version`; when the first came."""
        came: float | None = None
        waiting = set(self.signals)
        until = time.monotonic() + WAIT_S
        while waiting:
            assert time.monotonic() < until, f"no signal by {version} in partitions {waiting}"
            message = self._consumer.poll(0.2)
            if message is not None and not message.error():
                found = decode(Signal, message.value())
                self.signals[message.partition()].append(found)
                if found.model.version == version:
                    came = came or time.monotonic()
                    waiting.discard(message.partition())
        assert came is not None
        return came

    def close(self) -> None:
        self._consumer.close()


def told(settings: Settings, *words: str) -> None:
    done = CliRunner().invoke(app, ["models", *words], env=environment(settings))
    assert done.exit_code == 0, done.output


def test_a_rollback_is_in_force_within_two_seconds_and_positions_say_from_where(
    settings: Callable[..., Settings],
) -> None:
    mine = settings(mode="live", partitions=2, score_every_tick=True)
    one, other = prepared(mine)
    trading, reader = Trading(mine), Reader(mine)
    trading.start()
    try:
        with working(mine, "score"):
            reader.until_all_are_by("rules-1")
            told(mine, "promote", one.version)
            reader.until_all_are_by(one.version)
            told(mine, "promote", other.version)
            reader.until_all_are_by(other.version)
            asked = time.monotonic()
            told(mine, "rollback", "--reason", "drift")
            seconds = reader.until_all_are_by(one.version) - asked
    finally:
        trading.over.set()
        trading.join()
        reader.close()
    print(f"from the command to a signal of the model before: {seconds:.3f} s")
    assert seconds < 2.0
    for signals in reader.signals.values():
        applied = [each.positions["ticks"] for each in signals]
        assert applied == sorted(applied)
        runs = [version for version, _ in itertools.groupby(s.model.version for s in signals)]
        assert runs == ["rules-1", one.version, other.version, one.version]
        by_position = {(s.positions["ticks"], s.model.version) for s in signals}
        assert len(by_position) == len(set(applied))
