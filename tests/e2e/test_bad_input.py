"""Bad input on real servers: kept with a reason in SQL, and the next record is processed."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import confluent_kafka as kafka
import pytest

from stream.engine.topics import create_topics
from stream.events import Instrument, NewsArticle, encode
from stream.settings import Settings
from tests.e2e.servers import environment, publish, rows_of, verified

pytestmark = pytest.mark.stack

T0 = datetime(2024, 3, 5, 15, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
def worker(settings: Callable[..., Settings]) -> Iterator[Settings]:
    """A live worker that scores every trade of symbols that `instruments` names."""
    mine = settings(mode="live", partitions=1)
    env = environment(
        mine,
        TAPEWIRE_PARTITIONS="1",
        TAPEWIRE_SCORE_EVERY_TICK="true",
        TAPEWIRE_REQUIRE_INSTRUMENTS="true",
    )
    asyncio.run(create_topics(mine))
    subprocess.run([sys.executable, "-m", "stream.cli", "migrate"], env=env, check=True)
    roles = [
        subprocess.Popen([sys.executable, "-m", "stream.cli", "worker", "--role", role], env=env)
        for role in ("sentiment", "score", "archive")
    ]
    yield mine
    for process in roles:
        process.send_signal(signal.SIGTERM)
    assert [process.wait(30) for process in roles] == [0, 0, 0]


def tick(at: datetime, symbol: str = "AAPL", **changes: object) -> tuple[str, str, bytes, int]:
    """A trade, sent at its own time; `changes` go past every check, as a stranger's would."""
    fields = {"symbol": symbol, "ts": at.isoformat(), "price": 100.0, "size": 10.0, **changes}
    return "ticks", symbol, json.dumps(fields).encode(), int(at.timestamp() * 1000)


def news(at: datetime, **changes: object) -> tuple[str, str, bytes, int]:
    article = NewsArticle(
        id="n1", source="wire", published_at=at, received_at=at, headline="AAPL", symbols=("AAPL",)
    )
    fields = {**json.loads(encode(article)), **changes}
    return "news", str(fields["id"]), json.dumps(fields).encode(), int(at.timestamp() * 1000)


READER = {"ticks": "score", "news": "sentiment"}
BAD = {
    "ticks": [
        (("ticks", "AAPL", b"\xff\xfe not json", int(T0.timestamp() * 1000)), "malformed"),
        (tick(T0, price="cheap"), "price"),
        (tick(T0, price=float("nan")), "price"),
        (tick(T0, price=-1.0), "price"),
        (tick(T0, symbol="NOBODY"), "symbol"),
        (tick(datetime(2099, 1, 1, tzinfo=UTC)), "ts"),
        (tick(T0, ts="2024-03-05T15:00:00"), "ts"),
    ],
    "news": [
        (news(T0, headline=""), "headline"),
        (news(T0, id="big", body="x" * 900_000), "body"),
    ],
}


def test_every_bad_record_is_kept_with_its_reason_and_the_good_ones_are_scored(
    worker: Settings,
) -> None:
    publish(worker, [("instruments", "AAPL", encode(Instrument(symbol="AAPL")), 0)])
    rows_of(worker, "SELECT * FROM instruments", 1)
    publish(worker, [tick(T0)])
    rows_of(worker, "SELECT 1 FROM signals", 1)

    for topic, cases in BAD.items():
        publish(worker, [record for record, _ in cases])
        letters = rows_of(
            worker,
            f"SELECT * FROM dead_letters WHERE role = '{READER[topic]}' ORDER BY source_offset",
            len(cases),
        )
        assert len(letters) == len(cases)
        for letter, (_, word) in zip(letters, cases, strict=True):
            assert word in str(letter["reason"]), letter["reason"]

    publish(worker, [tick(T0 + 600 * SECOND), tick(T0 + 2 * SECOND)])
    late = rows_of(worker, "SELECT * FROM late_events", 1)
    assert (late[0]["source_topic"], late[0]["late_by_s"]) == ("ticks", 598.0)

    good = [news(T0 + 601 * SECOND), news(T0 + 601 * SECOND)]
    publish(worker, [*good, tick(T0 + 602 * SECOND)])
    assert len(rows_of(worker, "SELECT * FROM signals WHERE trigger = 'news'", 1)) == 1
    assert len(rows_of(worker, "SELECT * FROM signals WHERE trigger = 'tick'", 3)) == 3
    assert len(rows_of(worker, "SELECT * FROM sentiments", 1)) == 1

    rows_of(worker, "SELECT * FROM ticks WHERE ts > '2024-03-05 15:10:01'", 2)
    code, report = verified(environment(worker))
    assert code == 0, report
    policies = {row["policy_id"] for row in rows_of(worker, "SELECT * FROM policies", 1)}
    assert {r["policy_id"] for r in rows_of(worker, "SELECT * FROM signals", 4)} == policies


def test_an_article_of_ten_megabytes_is_refused_by_the_broker(worker: Settings) -> None:
    said: list[kafka.KafkaError | None] = []
    producer = kafka.Producer({"bootstrap.servers": worker.broker, "message.max.bytes": 20_000_000})
    raw = news(T0, body="x" * 10_000_000)[2]
    producer.produce(
        worker.topic("news"), raw, b"n1", on_delivery=lambda error, _: said.append(error)
    )
    assert producer.flush(10) == 0
    assert [error and error.name() for error in said] == ["MSG_SIZE_TOO_LARGE"]
    publish(worker, [news(T0)])
    assert len(rows_of(worker, "SELECT * FROM news", 1)) == 1
