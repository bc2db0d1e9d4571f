"""Every event survives its way over the wire, and new fields do not break old readers."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.events import EVENTS, ClockTick, NewsArticle, Tick, decode, encode, micros, moment
from tests.unit.events.any_event import events_of

KINDS = sorted(EVENTS)


@pytest.mark.parametrize("name", KINDS)
@given(draw=st.data())
@settings(max_examples=30, deadline=None)
def test_an_event_equals_itself_after_the_wire(name: str, draw: st.DataObject) -> None:
    kind = EVENTS[name]
    event = draw.draw(events_of(kind))
    assert decode(kind, encode(event)) == event
    assert encode(decode(kind, encode(event))) == encode(event)


@pytest.mark.parametrize("name", KINDS)
@given(draw=st.data())
@settings(max_examples=10, deadline=None)
def test_unknown_fields_are_ignored(name: str, draw: st.DataObject) -> None:
    kind = EVENTS[name]
    event = draw.draw(events_of(kind))
    wider = {"a_later_field": {"deep": [1, None]}, **json.loads(encode(event))}
    assert decode(kind, json.dumps(wider).encode()) == event


@pytest.mark.parametrize("name", KINDS)
def test_events_are_frozen(name: str) -> None:
    assert EVENTS[name].__struct_config__.frozen


def test_an_article_needs_only_id_source_time_and_headline() -> None:
    raw = b'{"id":"a","source":"wire","published_at":"2024-03-05T15:00:00Z","headline":"h"}'
    article = decode(NewsArticle, raw)
    assert (article.revision, article.status, article.received_at) == (1, "published", None)
    assert article.symbols == ()


def test_times_keep_their_moment_in_any_zone() -> None:
    utc = decode(ClockTick, b'{"kind":"beat","at":"2024-03-05T15:00:00.000001Z"}')
    york = decode(ClockTick, b'{"kind":"beat","at":"2024-03-05T10:00:00.000001-05:00"}')
    assert micros(utc.at) == micros(york.at) == 1_709_650_800_000_001
    assert moment(micros(york.at)) == utc.at


@given(st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999))
def test_microseconds_and_moments_are_one_thing(us: int) -> None:
    assert micros(moment(us)) == us


def test_a_decoder_knows_its_kind_only() -> None:
    with pytest.raises(msgspec.DecodeError, match=r"missing required field `symbol`"):
        decode(Tick, b'{"kind":"beat","at":"2024-03-05T15:00:00Z"}')
