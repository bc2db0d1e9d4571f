"""The loader on a real broker, without roles: what is in the topics, when and where."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, date, datetime

import confluent_kafka as kafka
import pytest

from stream.datasets.loader import load
from stream.datasets.synthetic import generate
from stream.engine.topics import create_topics, partition_of
from stream.errors import Refused, Unavailable
from stream.events import ClockTick, Instrument, Tick, decode, micros
from stream.settings import Settings

pytestmark = pytest.mark.stack

MARKET = generate(5, 1.0, n_symbols=4, n_sessions=1, trades_per_minute=1.0)
MINUTE = 60_000_000


def read_all(settings: Settings, topic: str) -> list[kafka.Message]:
    """Every record of a topic, partition by partition."""
    consumer = kafka.Consumer({"bootstrap.servers": settings.broker, "group.id": "reader"})
    found = []
    for partition in range(settings.partitions):
        place = kafka.TopicPartition(settings.topic(topic), partition, 0)
        _, end = consumer.get_watermark_offsets(place, timeout=10)
        consumer.assign([place])
        found += consumer.consume(end, timeout=20) if end else []
    consumer.close()
    return found


@pytest.fixture
async def replay(settings: Callable[..., Settings]) -> Settings:
    """A replay namespace of three partitions, topics made."""
    mine = settings(mode="replay", partitions=3)
    await create_topics(mine)
    return mine


async def test_everything_is_there_once_at_its_own_time_in_its_own_partition(
    replay: Settings,
) -> None:
    reached: list[int] = []
    summary = await load(replay, MARKET, wait_for=(), published=reached.append)

    tape = read_all(replay, "ticks")
    trades = [m for m in tape if m.key() != b"*"]
    expected = [timed for timed in MARKET.events() if timed.topic == "ticks"]
    key = {(t.key, t.at // 1000, t.value) for t in expected}
    assert {(m.key(), m.timestamp()[1], m.value()) for m in trades} == key
    assert len(trades) == len(expected) == summary.events_in["ticks"]
    assert all(m.partition() == partition_of(m.key() or b"", 3) for m in trades)

    news = read_all(replay, "news")
    articles = {t.value: t.at // 1000 for t in MARKET.events() if t.topic == "news"}
    assert {m.value(): m.timestamp()[1] for m in news} == articles
    assert len(news) == summary.events_in["news"]

    named = {decode(Instrument, m.value() or b"") for m in read_all(replay, "instruments")}
    assert named == set(MARKET.instruments)
    assert reached == sorted(reached)
    assert (summary.first_us, summary.last_us) == (MARKET.span[0], reached[-1])


async def test_time_passes_in_every_partition_and_ends_after_the_last_pane(
    replay: Settings,
) -> None:
    summary = await load(replay, MARKET, wait_for=())
    tape = read_all(replay, "ticks")
    told = {
        p: [
            decode(ClockTick, m.value() or b"")
            for m in tape
            if m.key() == b"*" and m.partition() == p
        ]
        for p in range(3)
    }
    assert told[0] == told[1] == told[2]
    assert summary.events_in["clock"] == 3 * len(told[0])
    kinds = [tick.kind for tick in told[0] if tick.session == date(2023, 3, 1)]
    assert kinds == ["open", "decision", "close"]
    assert micros(told[0][-1].at) >= MARKET.span[1] + MINUTE
    for p in range(3):
        stamps = [m.timestamp()[1] for m in tape if m.partition() == p]
        assert stamps == sorted(stamps)


async def test_a_load_in_two_parts_is_the_whole(replay: Settings) -> None:
    cut = micros(datetime(2023, 3, 1, 18, tzinfo=UTC))
    first = await load(replay, MARKET, until_us=cut, wait_for=())
    second = await load(replay, MARKET, from_us=cut, wait_for=())
    n = sum(timed.topic == "ticks" for timed in MARKET.events())
    assert first.events_in["ticks"] + second.events_in["ticks"] == n
    assert first.last_us <= cut
    trades = [m for m in read_all(replay, "ticks") if m.key() != b"*"]
    assert len(trades) == n
    assert all(decode(Tick, m.value() or b"").price > 0 for m in trades)


async def test_a_given_speed_paces_past_time(replay: Settings) -> None:
    loop = asyncio.get_running_loop()
    opened = micros(datetime(2023, 3, 1, 14, 30, tzinfo=UTC))
    began = loop.time()
    await load(
        replay, MARKET, speed=600.0, from_us=opened, until_us=opened + 10 * MINUTE, wait_for=()
    )
    assert 0.4 < loop.time() - began < 5.0


async def test_a_stop_ends_the_load_after_the_slice_at_hand(replay: Settings) -> None:
    stop = asyncio.Event()
    stop.set()
    summary = await load(replay, MARKET, wait_for=(), stop=stop)
    assert summary.events_in.get("ticks", 0) == 0


async def test_the_tape_waits_for_roles_that_do_not_read(
    replay: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stream.datasets.follow._STUCK_S", 0.2)
    with pytest.raises(Unavailable, match="role sentiment made no progress"):
        await load(replay, MARKET)
    assert read_all(replay, "ticks") == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mode": "live"}, "TAPEWIRE_MODE=live: expected replay"),
        ({"tape": "bars"}, "TAPEWIRE_TAPE=bars: the dataset's tape is ticks"),
        ({"partitions": 2}, "expected 2 partitions .TAPEWIRE_PARTITIONS., got 3"),
    ],
)
async def test_a_namespace_that_does_not_fit_is_refused(
    replay: Settings, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(Refused, match=message):
        await load(replay.model_copy(update=changes), MARKET, wait_for=())
