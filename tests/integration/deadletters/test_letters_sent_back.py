"""What a real broker gets of a letter: the record's own bytes, its partition, its time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import confluent_kafka as kafka
import pytest

from stream.deadletters.letter import Letter
from stream.deadletters.source import LETTER, REPLAY_OF, Source
from stream.engine.deadletters import MAX_KEPT_KEY_BYTES
from stream.engine.topics import create_topics, partition_of
from stream.errors import Refused
from stream.settings import Settings

pytestmark = pytest.mark.stack

T0 = datetime(2024, 3, 5, 15, 0, tzinfo=UTC)
N = 4
LONG = b"k" * (MAX_KEPT_KEY_BYTES + 7)


@pytest.fixture
def past(settings: Callable[..., Settings]) -> Settings:
    """A replay namespace with its topics."""
    mine = settings(mode="replay", partitions=N)
    asyncio.run(create_topics(mine))
    return mine


@pytest.fixture
def source(past: Settings) -> Iterator[Source]:
    opened = Source(past)
    yield opened
    opened.close()


def letter(name: str, **changes: Any) -> Letter:
    given = {
        "name": name, "fate": "open", "kafka_ts": T0, "role": "score", "source_topic": "ticks",
        "source_partition": 3, "source_offset": 41, "source_kafka_ts": T0, "reason": "no",
        "key": b"AAPL", "n_kept": 2, "n_bytes": 2, "topic_id": "id", "partition": 0, "offset": 7,
    }  # fmt: skip
    return Letter(**given | changes)


def written(settings: Settings, *records: tuple[bytes | None, bytes | None]) -> None:
    """Records on partition 3 of ticks, from offset 0 on."""
    producer = kafka.Producer({"bootstrap.servers": settings.broker})
    for key, value in records:
        producer.produce(settings.topic("ticks"), value, key, partition=3, timestamp=1)
    assert producer.flush(10) == 0


def read(settings: Settings, place: tuple[int, int] | None) -> kafka.Message:
    assert place is not None
    consumer = kafka.Consumer({"bootstrap.servers": settings.broker, "group.id": "none"})
    try:
        consumer.assign([kafka.TopicPartition(settings.topic("ticks"), *place)])
        message = consumer.poll(30)
    finally:
        consumer.close()
    assert message is not None
    assert message.offset() == place[1]
    return message


def test_a_record_comes_with_its_key_place_and_time_and_says_what_it_repeats(
    past: Settings, source: Source
) -> None:
    given = {"0:1": b"AAPL", "0:2": None, "0:3": b"*", "0:4": b"\xff\x00", "0:5": b""}
    originals = [source.original(letter(name, key=key), b"{}") for name, key in given.items()]
    deliveries = source.send(originals)
    homes = {
        "0:1": partition_of(b"AAPL", N),
        "0:2": 3,
        "0:3": 3,
        "0:4": partition_of(b"\xff\x00", N),
    }
    homes["0:5"] = partition_of(b"", N)
    assert [each.letter.name for each in originals] == list(given)
    assert len(deliveries) == len(given)
    for each in deliveries:
        name = each.letter.name
        message = read(past, each.place)
        assert (message.key(), message.value()) == (given[name], b"{}")
        assert message.partition() == homes[name]
        assert message.timestamp() == (kafka.TIMESTAMP_CREATE_TIME, int(T0.timestamp() * 1000))
        assert dict(message.headers() or ()) == {
            REPLAY_OF: b"ticks:3:41",
            LETTER: name.encode(),
        }


def test_what_a_letter_cannot_hold_is_read_from_the_source(past: Settings, source: Source) -> None:
    written(past, (b"AAPL", None), (LONG, b"{}"), (b"AAPL", b""), (None, b"xy"))
    absent = letter("0:1", source_offset=0, n_kept=0, n_bytes=0)
    assert source.original(absent, b"").value is None
    long = letter("0:2", source_offset=1, key=LONG[:MAX_KEPT_KEY_BYTES])
    assert source.original(long, b"{}").key == LONG
    empty = letter("0:3", source_offset=2, n_kept=0, n_bytes=0)
    assert source.original(empty, b"").value == b""
    cut = letter("0:4", source_offset=3, key=None, n_kept=1, n_bytes=2)
    assert source.original(cut, b"x")[1:] == (None, b"xy")
    for wrong in (
        {"source_offset": 3, "key": b"AAPL", "n_kept": 1},  # another key
        {"source_offset": 3, "key": None, "n_kept": 1, "n_bytes": 3},  # another length
        {"source_offset": 1, "key": b"k" * 999, "n_kept": 1},  # another key, as far as it was kept
    ):
        with pytest.raises(Refused, match="the topic was made anew"):
            source.original(letter("0:5", **wrong), b"x"[: wrong["n_kept"]])
    with pytest.raises(Refused, match="the topic was made anew"):
        source.original(cut, b"y")
    for gone in ({"source_offset": 4}, {"source_offset": -1}, {"source_partition": N}):
        with pytest.raises(Refused, match="is no longer there"):
            source.original(letter("0:6", **gone, n_kept=1), b"x")


def test_a_key_that_names_no_partition_needs_the_sources(source: Source) -> None:
    lost = source.original(letter("0:1", key=None, source_partition=N), b"{}")
    (delivery,) = source.send([lost])
    assert delivery.place is None
    assert delivery.surely_not
    assert "expected a partition below 4" in delivery.why
