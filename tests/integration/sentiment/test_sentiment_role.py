"""The sentiment role on a real Kafka: article in, scores out; revisions, garbage, a restart."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import confluent_kafka as kafka
import msgspec
import pytest

from stream.engine.topics import create_topics, partition_of
from stream.errors import Refused
from stream.events import DeadLetter, NewsArticle, SentimentScored, decode, encode, micros, moment
from stream.sentiment.agent import run_sentiment
from stream.settings import Settings
from tests import factories

pytestmark = pytest.mark.stack
_WAIT_S = 40.0
E = TypeVar("E", bound=msgspec.Struct)


class Running:
    """The role inside this process."""

    def __init__(self, settings: Settings) -> None:
        self.stop = asyncio.Event()
        self.task = asyncio.create_task(run_sentiment(settings, stop=self.stop))
        self._settings = settings

    async def read(self, topic: str, kind: type[E], n: int) -> list[tuple[E, kafka.Message]]:
        """The first `n` committed records of a topic, waited for as long as the role runs."""
        return await asyncio.to_thread(_read, self._settings, topic, kind, n, self.task.done)


@contextlib.asynccontextmanager
async def role(settings: Settings) -> AsyncIterator[Running]:
    """The role, stopped as SIGTERM stops it."""
    running = Running(settings)
    try:
        yield running
    finally:
        running.stop.set()
        await running.task


def publish(
    settings: Settings, *records: NewsArticle | tuple[str, bytes], at_ms: int | None = None
) -> None:
    """Send articles, or (key, bytes) as they are, to one partition in this order."""
    producer = kafka.Producer(
        {"bootstrap.servers": settings.broker, "partitioner": "murmur2_random"}
    )
    for record in records:
        key, value = record if isinstance(record, tuple) else (record.id, encode(record))
        extra = {} if at_ms is None else {"timestamp": at_ms}
        producer.produce(settings.topic("news"), value, key, partition=0, **extra)
    assert producer.flush(10) == 0


async def test_an_article_its_correction_and_its_retraction_reach_every_symbol(
    settings: Callable[..., Settings],
) -> None:
    mine = settings(partitions=2)
    await create_topics(mine)
    publish(
        mine,
        factories.article(symbols=("AAPL", "MSFT"), headline="$AAPL beats estimates"),
        factories.article(revision=2, status="corrected", headline="Apple misses estimates"),
        factories.article(revision=1, headline="An old revision, too late"),
        factories.article(revision=3, status="retracted", symbols=()),
    )
    before = datetime.now(UTC)
    async with role(mine) as running:
        found = await running.read("sentiment", SentimentScored, 6)
    by_symbol = {
        symbol: [(s.revision, s.status) for s, _ in found if s.symbol == symbol]
        for symbol in ("AAPL", "MSFT")
    }
    assert by_symbol == {
        "AAPL": [(1, "published"), (2, "corrected"), (3, "retracted")],
        "MSFT": [(1, "published"), (2, "retracted"), (3, "retracted")],
    }
    first = next(s for s, _ in found if s.symbol == "AAPL")
    assert first.positive > 0.5
    assert first.relevance > next(s for s, _ in found if s.symbol == "MSFT").relevance
    assert first.available_at == first.scored_at >= before
    for scored, message in found:
        assert message.key() == scored.symbol.encode()
        assert message.partition() == partition_of(message.key(), 2)


async def test_companies_of_the_symbols_file_get_scores_of_their_own(
    settings: Callable[..., Settings], tmp_path: Path
) -> None:
    listed = tmp_path / "symbols.csv"
    listed.write_text("symbol,company,aliases\nAAPL,Apple Inc.,\nMSFT,Microsoft Corp.,Redmond?\n")
    mine = settings(partitions=1, symbols_file=listed, unscorable="refuse")
    await create_topics(mine)
    headline = "Apple beats estimates while Microsoft misses them"
    publish(
        mine,
        factories.article(headline="Apple schlägt alle Erwartungen", lang="de", symbols=()),
        factories.article("wire-2", headline=headline, lang="en", symbols=()),
    )
    async with role(mine) as running:
        found = [s for s, _ in await running.read("sentiment", SentimentScored, 2)]
        ((letter, _),) = await running.read("dead-letters", DeadLetter, 1)
    tone = {s.symbol: s.positive - s.negative for s in found}
    assert tone["AAPL"] > 0.3
    assert tone["MSFT"] < -0.3
    assert "got 'de' - at `$.lang`" in letter.reason


async def test_a_symbols_file_that_does_not_fit_stops_the_role_at_its_start(
    settings: Callable[..., Settings], tmp_path: Path
) -> None:
    listed = tmp_path / "symbols.csv"
    listed.write_text("symbol,company\napple,Apple Inc.\n")
    with pytest.raises(Refused, match="line 2: expected a ticker in capitals"):
        await run_sentiment(settings(symbols_file=listed))


async def test_garbage_becomes_dead_letters_and_the_next_article_is_scored(
    settings: Callable[..., Settings],
) -> None:
    mine = settings(partitions=1)
    await create_topics(mine)
    bad = encode(factories.article())
    garbage = [
        ("x", b"\xff\xfe garbage"),
        ("wire-1", bad.replace(b'"AAPL"', b'"apple"')),
        ("wire-1", bad.replace(b'"revision":1', b'"revision":NaN')),
        ("other", bad),
        ("wire-1", b'{"a":' * 50_000),
    ]
    publish(mine, *garbage, factories.article())
    async with role(mine) as running:
        ((scored, _),) = await running.read("sentiment", SentimentScored, 1)
        letters = [each for each, _ in await running.read("dead-letters", DeadLetter, 5)]
    assert scored.article_id == "wire-1"
    assert [(each.offset, each.payload) for each in letters] == [
        (offset, value) for offset, (_, value) in enumerate(garbage)
    ]
    for letter, said in zip(
        letters, ("malformed", "`$.symbols[0]`", "`revision`", "key: ", "nested"), strict=True
    ):
        assert letter.role == "sentiment"
        assert letter.topic == "news"
        assert said in letter.reason


async def test_a_restarted_role_knows_the_articles_it_has_scored(
    settings: Callable[..., Settings],
) -> None:
    mine = settings(partitions=1)
    await create_topics(mine)
    publish(mine, factories.article())
    async with role(mine) as running:
        await running.read("sentiment", SentimentScored, 1)
    publish(
        mine,
        factories.article(),
        factories.article("wire-2"),
        factories.article(revision=2, status="retracted", symbols=()),
    )
    async with role(mine) as running:
        found = [s for s, _ in await running.read("sentiment", SentimentScored, 3)]
    assert [(s.article_id, s.revision, s.status, s.duplicate) for s in found] == [
        ("wire-1", 1, "published", False),
        ("wire-2", 1, "published", True),
        ("wire-1", 2, "retracted", False),
    ]


async def test_a_replay_stamps_scores_with_their_availability(
    settings: Callable[..., Settings],
) -> None:
    mine = settings(mode="replay", partitions=1, scoring_delay_s=2.5)
    await create_topics(mine)
    known_ms = int(factories.NOON.timestamp() * 1000) + 60_000
    publish(mine, factories.article(received_at=None), at_ms=known_ms)
    async with role(mine) as running:
        ((scored, message),) = await running.read("sentiment", SentimentScored, 1)
    assert micros(scored.available_at) == known_ms * 1000 + 2_500_000
    assert scored.scored_at == scored.available_at
    assert scored.assumed_times
    assert message.timestamp()[1] == known_ms + 2_500
    assert moment(message.timestamp()[1] * 1000) == scored.available_at


def _read(
    settings: Settings, topic: str, kind: type[E], n: int, over: Callable[[], bool]
) -> list[tuple[E, kafka.Message]]:
    consumer = kafka.Consumer(
        {
            "bootstrap.servers": settings.broker,
            "group.id": f"{settings.namespace}-test",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
        }
    )
    name = settings.topic(topic)
    consumer.assign(
        [kafka.TopicPartition(name, p, kafka.OFFSET_BEGINNING) for p in range(settings.partitions)]
    )
    found: list[tuple[E, kafka.Message]] = []
    until = time.monotonic() + _WAIT_S
    try:
        while len(found) < n and time.monotonic() < until and not over():
            message = consumer.poll(0.2)
            if message is not None and message.error() is None:
                found.append((decode(kind, message.value()), message))
    finally:
        consumer.close()
    assert len(found) == n, f"{topic}: {[event for event, _ in found]}"
    return found
