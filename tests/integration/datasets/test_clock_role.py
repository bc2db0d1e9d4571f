"""The clock on a real broker: a grid that two of them share, calendars that instruments bring."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, date, datetime

import confluent_kafka as kafka
import pytest

from stream.clock.agent import run_clock
from stream.engine.topics import create_topics
from stream.errors import Refused
from stream.events import ClockTick, Instrument, decode, encode, micros
from stream.settings import Settings

pytestmark = pytest.mark.stack

SATURDAY = micros(datetime(2024, 3, 2, 15, 0, 7, tzinfo=UTC))


def read_all(settings: Settings, topic: str) -> list[kafka.Message]:
    """Every record of a topic."""
    consumer = kafka.Consumer({"bootstrap.servers": settings.broker, "group.id": "reader"})
    found = []
    for partition in range(settings.partitions):
        place = kafka.TopicPartition(settings.topic(topic), partition, 0)
        _, end = consumer.get_watermark_offsets(place, timeout=10)
        consumer.assign([place])
        found += consumer.consume(end, timeout=10) if end else []
    consumer.close()
    return found


async def until(settings: Settings, enough: Callable[[list[ClockTick]], bool]) -> list[ClockTick]:
    """Clock ticks of partition 0, as soon as they are enough."""
    while True:
        found = []
        with contextlib.suppress(kafka.KafkaException):  # a topic just made has no leader yet
            found = await asyncio.to_thread(read_all, settings, "ticks")
        ticks = [decode(ClockTick, m.value() or b"") for m in found if m.partition() == 0]
        if enough(ticks):
            assert {m.key() for m in found} == {b"*"}
            return ticks
        await asyncio.sleep(0.05)


async def test_two_clocks_state_the_same_grid_and_calendars_of_instruments(
    settings: Callable[..., Settings],
) -> None:
    mine = settings(mode="live", partitions=2)
    await create_topics(mine)
    producer = kafka.Producer({"bootstrap.servers": mine.broker})
    for calendar in ("24/7", "NOWHERE"):
        coin = Instrument(symbol="BTC", calendar=calendar)
        producer.produce(mine.topic("instruments"), encode(coin), b"BTC")
    producer.produce(mine.topic("instruments"), b"no json", b"BAD")
    assert producer.flush(10) == 0

    stop = asyncio.Event()
    clocks = [
        asyncio.create_task(run_clock(mine, stop=stop, now=lambda ahead=ahead: SATURDAY + ahead))
        for ahead in (0, 1_500_000)
    ]
    async with asyncio.timeout(30):
        ticks = await until(mine, lambda ticks: sum(t.kind == "beat" for t in ticks) >= 2)
    stop.set()
    await asyncio.gather(*clocks)

    beats = {t.at for t in ticks if t.kind == "beat"}
    assert beats == {datetime(2024, 3, 2, 15, 0, 0, tzinfo=UTC)}
    sessions = {(t.calendar, t.kind, t.session) for t in ticks if t.kind != "beat"}
    assert ("XNYS", "close", date(2024, 3, 1)) in sessions
    assert ("24/7", "open", date(2024, 3, 2)) in sessions
    assert {calendar for calendar, _, _ in sessions} == {"XNYS", "24/7"}


async def test_a_replay_has_no_clock_of_its_own(settings: Callable[..., Settings]) -> None:
    with pytest.raises(Refused, match="TAPEWIRE_MODE=replay"):
        await run_clock(settings(mode="replay"))
