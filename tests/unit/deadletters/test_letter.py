"""A letter's name, whether it has its record's bytes, where they go, and when they may."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from stream.deadletters.letter import Fate, Letter, Place, destination, read_name, why_settled
from stream.engine.deadletters import MAX_KEPT_KEY_BYTES
from stream.engine.topics import partition_of
from stream.errors import Refused

NOW = datetime(2024, 3, 5, 15, 0, tzinfo=UTC)


def letter(**changes: Any) -> Letter:
    given = {
        "name": "0:7", "fate": "open", "kafka_ts": NOW, "role": "score", "source_topic": "ticks",
        "source_partition": 2, "source_offset": 1041, "source_kafka_ts": NOW, "reason": "no",
        "key": b"AAPL", "n_kept": 5, "n_bytes": 5, "topic_id": "id", "partition": 0, "offset": 7,
    }  # fmt: skip
    return Letter(**given | changes)


def test_a_name_is_a_place_and_a_topic_made_anew_keeps_the_old_ones_apart() -> None:
    assert read_name("2:1041") == Place(2, 1041, None)
    assert read_name("2:1041@Ab-_9.x") == Place(2, 1041, "Ab-_9.x")


@pytest.mark.parametrize(
    "name", ["", "2", "2:", ":1", "2:1:3", "-1:2", "2:1 ", "a:b", "٢:١", "2:" + "9" * 30, "2:1@"]
)
def test_what_is_no_name_is_refused_with_what_was_expected(name: str) -> None:
    with pytest.raises(Refused, match="expected PARTITION:OFFSET"):
        read_name(name)


@pytest.mark.parametrize(
    ("changes", "whole"),
    [
        ({}, True),
        ({"n_bytes": 6}, False),
        ({"n_kept": 0, "n_bytes": 0}, False),  # no value, or an empty one: the letter cannot say
        ({"key": None}, True),
        ({"key": b"k" * (MAX_KEPT_KEY_BYTES - 1)}, True),
        ({"key": b"k" * MAX_KEPT_KEY_BYTES}, False),
    ],
)
def test_a_letter_is_whole_when_no_byte_of_its_record_is_in_doubt(
    changes: dict[str, Any], whole: bool
) -> None:
    assert letter(**changes).is_whole is whole


def test_a_replay_goes_to_its_keys_partition_and_without_one_to_where_it_was() -> None:
    assert destination(letter(), b"AAPL", 4) == partition_of(b"AAPL", 4) != 2
    assert destination(letter(), None, 4) == 2
    assert destination(letter(), b"*", 4) == 2
    with pytest.raises(Refused, match="expected a partition below 2, got ticks:2:1041"):
        destination(letter(), None, 2)


def step(fate: Any) -> Fate:
    return Fate(fate, NOW, "ann", "")


@pytest.mark.parametrize(
    ("fates", "says"),
    [
        ([], None),
        (["failed"], None),
        (["failed", "failed"], None),
        (["replaying"], "a replay began by ann at 2024-03-05 15:00:00 UTC"),
        (["replayed"], "it was replayed by ann"),
        (["dropped"], "it was dropped by ann"),
        (["replayed", "failed"], "it was replayed by ann"),
        (["dropped", "replayed"], "it was replayed by ann"),
    ],
)
def test_a_letter_with_a_fate_is_left_alone_and_a_failed_replay_is_none(
    fates: list[str], says: str | None
) -> None:
    why = why_settled([step(fate) for fate in fates])
    assert why is None if says is None else says in (why or "")
