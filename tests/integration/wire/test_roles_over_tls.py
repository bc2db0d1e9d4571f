"""The roles on servers that want TLS and passwords: a signal out, refusals said, no secret told."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import confluent_kafka as kafka
import pytest

from stream.engine.clients import librdkafka_options
from stream.engine.topics import create_topics
from stream.events import MARKET_KEY, ClockTick, NewsArticle, Tick, encode
from stream.settings import Settings
from tests.e2e.servers import rows_of
from tests.integration.wire.commands import Commands
from tests.integration.wire.secured import PLAIN_PASSWORD, SECRETS, Authorities, Database

pytestmark = pytest.mark.stack

_T0 = datetime(2024, 3, 5, 15, 0, tzinfo=UTC)
_WAIT_S = 60.0


@pytest.fixture
def commands(tmp_path: Path) -> Commands:
    return Commands(tmp_path)


@pytest.fixture
def settings(
    scram: Callable[..., Settings], tls_database: Database, tls_redis: str, tmp_path: Path
) -> Callable[..., Settings]:
    def make(**changes: object) -> Settings:
        given: dict[str, object] = {
            "database": tls_database.dsn(),
            "redis": tls_redis,
            "namespace": "secured",
            "mode": "replay",
            "data_dir": tmp_path,
            "rules_may_act": True,
        }
        return scram(**{**given, **changes})

    return make


def publish(settings: Settings, topic: str, key: str, event: object, at: datetime) -> None:
    producer = kafka.Producer({**librdkafka_options(settings), "partitioner": "murmur2_random"})
    everywhere = range(settings.partitions) if key == MARKET_KEY else [-1]
    for partition in everywhere:
        producer.produce(
            settings.topic(topic),
            encode(event),  # type: ignore[arg-type]
            key.encode(),
            partition=partition,
            timestamp=int(at.timestamp() * 1000),
        )
    assert producer.flush(20) == 0


def read_until(settings: Settings, topic: str, enough: Callable[[bytes], bool]) -> None:
    consumer = kafka.Consumer(
        {
            **librdkafka_options(settings),
            "group.id": f"{settings.namespace}-reader",
            "isolation.level": "read_committed",
        }
    )
    name = settings.topic(topic)
    until = time.monotonic() + _WAIT_S
    try:
        found = consumer.list_topics(name, timeout=10).topics[name].partitions
        consumer.assign([kafka.TopicPartition(name, p, kafka.OFFSET_BEGINNING) for p in found])
        while time.monotonic() < until:
            message = consumer.poll(0.2)
            if message is not None and not message.error() and enough(message.value() or b""):
                return
    finally:
        consumer.close()
    pytest.fail(f"{name}: nothing of what was expected in {_WAIT_S:g} s")


def test_an_article_and_ticks_give_a_signal_over_tls_and_no_output_tells_a_secret(
    settings: Callable[..., Settings], commands: Commands, tls_database: Database
) -> None:
    mine = settings()
    asyncio.run(create_topics(mine))
    environment = commands.environment(mine)
    with commands.running(environment, "migrate") as (migrate, _):
        assert migrate.wait(_WAIT_S) == 0, commands.printed()
    with commands.running(environment, "worker") as (worker, printed):
        until = time.monotonic() + _WAIT_S
        while printed.read_text().count("role starts") < 3 and time.monotonic() < until:
            time.sleep(0.1)
        second = timedelta(seconds=1)
        article = NewsArticle(
            id="wire-1",
            source="wire",
            published_at=_T0 + 60 * second,
            received_at=_T0 + 61 * second,
            headline="Apple beats estimates as profit surges to a record",
            symbols=("AAPL",),
        )
        publish(mine, "news", article.id, article, _T0 + 61 * second)
        for i in range(0, 90, 10):
            at = _T0 + i * second
            tick = Tick(symbol="AAPL", ts=at, price=100 + i / 100, size=10)
            publish(mine, "ticks", "AAPL", tick, at)
        for i in (90, 120, 180, 240):
            at = _T0 + i * second
            publish(mine, "ticks", MARKET_KEY, ClockTick(kind="beat", at=at), at)
        read_until(mine, "signals", lambda value: json.loads(value)["evidence"] == ["wire-1"])
        rows_of(mine, "SELECT 1 FROM signals WHERE evidence = '{wire-1}'", 1)
        rows_of(mine, "SELECT 1 FROM policies", 1)

        with commands.running(environment, "check", "--json") as (check, told):
            assert check.wait(_WAIT_S) == 0, told.read_text()
        assert worker.poll() is None
        # A password changed under the archive: waiting does not bring the old one back.
        tls_database.change_password("another-Kf6", of=mine.database.get_secret_value())
        try:
            at = _T0 + 300 * second
            publish(mine, "ticks", "AAPL", Tick(symbol="AAPL", ts=at, price=101, size=1), at)
            assert worker.wait(_WAIT_S) == 2, printed.read_text()
        finally:
            tls_database.change_password("pg-Rm5@yL2:secret", of=tls_database.dsn("another-Kf6"))
    lines = [line for line in printed.read_text().splitlines() if line.startswith("tapewire: ")]
    assert any("TAPEWIRE_DATABASE: " in line and "password" in line for line in lines), lines
    assert [secret for secret in SECRETS if secret in commands.printed()] == []


def test_a_clock_by_plain_at_debug_level_tells_no_secret(
    settings: Callable[..., Settings], commands: Commands
) -> None:
    mine = settings(
        namespace="clock_plain", mode="live", broker_sasl="PLAIN", broker_password=PLAIN_PASSWORD
    )
    with commands.running(commands.environment(mine), "worker", "--role", "clock") as (_, printed):
        until = time.monotonic() + _WAIT_S
        while "clock_plain.ticks" not in known_topics(mine) and time.monotonic() < until:
            time.sleep(0.2)
        read_until(mine, "ticks", lambda value: b'"beat"' in value)
    assert [secret for secret in SECRETS if secret in printed.read_text()] == []


def known_topics(settings: Settings) -> set[str]:
    consumer = kafka.Consumer({**librdkafka_options(settings), "group.id": "topics"})
    try:
        return set(consumer.list_topics(timeout=10).topics)
    finally:
        consumer.close()


def test_what_refuses_a_process_ends_it_with_code_2_and_the_setting(
    settings: Callable[..., Settings],
    commands: Commands,
    listeners: dict[str, str],
    known: Authorities,
    tls_database: Database,
) -> None:
    nobody: dict[str, object] = {"broker_sasl": None, "broker_user": None, "broker_password": None}
    stranger = known.stranger.certificate
    refused = {
        ("worker", "--role", "score", "TAPEWIRE_BROKER_PASSWORD: "): {
            "broker_password": "bad-4711"
        },
        ("worker", "--role", "sentiment", "certificate has expired"): {
            **nobody,
            "broker": listeners["EXPIRED"],
        },
        ("worker", "--role", "archive", "authentication failed for user"): {
            "database": tls_database.dsn("bad-4711")
        },
        ("worker", "--role", "score", "certificate verify failed"): {
            "database": tls_database.dsn(ca=stranger)
        },
        ("tail", "signals", "TAPEWIRE_BROKER_CA="): {"broker_ca": stranger},
        ("migrate", "TAPEWIRE_DATABASE: "): {"database": tls_database.dsn("bad-4711")},
    }
    with contextlib.ExitStack() as stack:
        running = []
        for (*words, says), changes in refused.items():
            environment = commands.environment(settings(**changes))
            process, printed = stack.enter_context(commands.running(environment, *words))
            running.append((process, printed, says))
        for process, printed, says in running:
            assert process.wait(_WAIT_S) == 2, printed.read_text()
            last = printed.read_text().splitlines()[-1]
            assert last.startswith("tapewire: TAPEWIRE_")
            assert says in last
    assert [s for s in (*SECRETS, "bad-4711") if s in commands.printed()] == []


def test_check_says_why_database_and_redis_are_not_trusted(
    settings: Callable[..., Settings],
    commands: Commands,
    known: Authorities,
    tls_database: Database,
    tls_redis: str,
) -> None:
    stranger = str(known.stranger.certificate)
    of = {
        "certificate verify failed": tls_redis.replace(str(known.ca.certificate), stranger),
        "invalid username-password pair": tls_redis.replace("redis-Hb7nD3-secret", "bad-4711"),
        "Connection": tls_redis.replace("rediss://", "redis://").partition("?")[0],
    }
    tls_database.present(known.expired)
    try:
        with contextlib.ExitStack() as stack:
            running = []
            for says, url in of.items():
                environment = commands.environment(settings(redis=url))
                one = stack.enter_context(commands.running(environment, "check", "--json"))
                running.append((*one, says))
            for process, printed, says in running:
                assert process.wait(_WAIT_S) == 1, printed.read_text()
                found = json.loads(printed.read_text().splitlines()[-1])
                assert found["broker"]["ok"]
                assert "certificate verify failed" in found["database"]["error"]
                assert says.lower() in found["redis"]["error"].lower()
                assert "TAPEWIRE_REDIS: " in found["redis"]["error"]
    finally:
        tls_database.present(known.server)
    assert [s for s in (*SECRETS, "bad-4711") if s in commands.printed()] == []
