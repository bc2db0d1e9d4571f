"""Bad input, field by field: each is refused with the field and what was expected."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from stream.events import (
    Bar,
    ClockTick,
    CorporateAction,
    NewsArticle,
    Observation,
    SentimentScored,
    Tick,
    decode,
)

T = "2024-03-05T15:00:00Z"
GOOD: dict[type[msgspec.Struct], dict[str, Any]] = {
    NewsArticle: {"id": "a", "source": "wire", "published_at": T, "headline": "Apple wins"},
    Tick: {"symbol": "AAPL", "ts": T, "price": 1.5, "size": 1},
    Bar: {
        "symbol": "AAPL", "start": T, "end": "2024-03-05T15:01:00Z",
        "open": 2, "high": 3, "low": 1, "close": 2, "volume": 9,
    },
    Observation: {"symbol": "*", "source": "macro", "metric": "vix", "value": 14.0, "ts": T},
    CorporateAction: {
        "symbol": "AAPL", "kind": "split", "ex_date": "2024-03-05", "value": 4, "announced_at": T,
    },
    ClockTick: {"kind": "beat", "at": T},
    SentimentScored: {
        "article_id": "a", "revision": 1, "status": "published", "symbol": "AAPL",
        "source": "wire", "published_at": T, "available_at": T, "scored_at": T,
        "negative": 0.2, "neutral": 0.3, "positive": 0.5, "relevance": 1, "model": "m",
        "text_hash": "h",
    },
}  # fmt: skip

WRONG = [
    (NewsArticle, "headline", "", "length >= 1"),
    (NewsArticle, "headline", "x" * 2_001, "length <= 2000"),
    (NewsArticle, "headline", None, "Expected `str`, got `null`"),
    (NewsArticle, "headline", 7, "Expected `str`, got `int`"),
    (NewsArticle, "body", "x" * 10_000_000, "length <= 500000"),
    (NewsArticle, "url", "x" * 2_001, "length <= 2000"),
    (NewsArticle, "id", "", "length >= 1"),
    (NewsArticle, "id", "x" * 201, "length <= 200"),
    (NewsArticle, "source", "", "length >= 1"),
    (NewsArticle, "revision", 0, ">= 1"),
    (NewsArticle, "revision", 1.5, "Expected `int`, got `float`"),
    (NewsArticle, "status", "deleted", "Invalid enum value 'deleted'"),
    (NewsArticle, "published_at", "2024-03-05T15:00:00", "timezone"),
    (NewsArticle, "published_at", "yesterday", "RFC3339"),
    (NewsArticle, "published_at", 1_709_650_800, "Expected `datetime`, got `int`"),
    (NewsArticle, "received_at", "2024-03-05 15:00", "RFC3339"),
    (NewsArticle, "symbols", ["aapl"], "matching regex"),
    (NewsArticle, "symbols", "AAPL", "Expected `array`, got `str`"),
    (NewsArticle, "symbols", ["A"] * 101, "length <= 100"),
    (Tick, "symbol", "aapl", "matching regex"),
    (Tick, "symbol", "", "matching regex"),
    (Tick, "symbol", "AAPL\n", "matching regex"),
    (Tick, "symbol", "A" * 17, "matching regex"),
    (Tick, "symbol", "*", "matching regex"),
    (Tick, "price", -1, "> 0"),
    (Tick, "price", 0, "> 0"),
    (Tick, "price", 1e12, "<= 1000000000"),
    (Tick, "price", "1.5", "Expected `float`, got `str`"),
    (Tick, "price", None, "Expected `float`, got `null`"),
    (Tick, "size", -1, ">= 0"),
    (Tick, "bid", 0, "> 0"),
    (Tick, "seq", -1, ">= 0"),
    (Tick, "seq", 2**63, "<= 9223372036854775807"),
    (Tick, "ts", "2024-03-05T15:00:00", "timezone"),
    (Tick, "regular", "yes", "Expected `bool`, got `str`"),
    (Tick, "conditions", "x" * 65, "length <= 64"),
    (Bar, "volume", -1, ">= 0"),
    (Bar, "low", -1, "> 0"),
    (Bar, "low", 2.5, "`low` <= open, close <= `high`"),
    (Bar, "high", 1.5, "`low` <= open, close <= `high`"),
    (Bar, "end", T, "`end` must be after `start`"),
    (Observation, "metric", "", "length >= 1"),
    (Observation, "value", "high", "Expected `float`, got `str`"),
    (CorporateAction, "value", 0, "> 0"),
    (CorporateAction, "kind", "merger", "Invalid enum value 'merger'"),
    (CorporateAction, "ex_date", "05/03/2024", "RFC3339"),
    (ClockTick, "kind", "tick", "Invalid enum value 'tick'"),
    (SentimentScored, "positive", 1.01, "<= 1"),
    (SentimentScored, "relevance", -0.1, ">= 0"),
]


def message_of(kind: type[msgspec.Struct], raw: bytes) -> str:
    with pytest.raises(msgspec.DecodeError) as caught:
        decode(kind, raw)
    return str(caught.value)


@pytest.mark.parametrize("kind", GOOD, ids=lambda kind: kind.__name__)
def test_the_good_examples_are_read(kind: type[msgspec.Struct]) -> None:
    assert isinstance(decode(kind, json.dumps(GOOD[kind]).encode()), kind)


@pytest.mark.parametrize(
    ("kind", "field", "value", "expected"),
    WRONG,
    ids=[f"{kind.__name__}-{field}-{str(value)[:12]!r}" for kind, field, value, _ in WRONG],
)
def test_a_wrong_value_is_refused_by_name(
    kind: type[msgspec.Struct], field: str, value: object, expected: str
) -> None:
    message = message_of(kind, json.dumps({**GOOD[kind], field: value}).encode())
    assert field in message
    assert expected in message


@pytest.mark.parametrize(
    ("kind", "field"),
    [(kind, field) for kind, example in GOOD.items() for field in example],
    ids=lambda each: each if isinstance(each, str) else each.__name__,
)
def test_a_missing_field_is_named(kind: type[msgspec.Struct], field: str) -> None:
    example = {name: value for name, value in GOOD[kind].items() if name != field}
    message = message_of(kind, json.dumps(example).encode())
    assert message == f"Object missing required field `{field}`"


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize(
    ("kind", "field"), [(Tick, "price"), (Bar, "open"), (Observation, "value")]
)
def test_a_number_that_is_not_finite_is_refused_by_name(
    kind: type[msgspec.Struct], field: str, value: str
) -> None:
    raw = json.dumps({**GOOD[kind], field: float(value.lower())}).encode()
    assert value.encode() in raw
    assert message_of(kind, raw) == f"Expected a finite number, got `{value}` - near `{field}`"


def test_a_number_beyond_a_double_is_refused_by_name() -> None:
    raw = json.dumps(GOOD[Tick]).replace("1.5", "1e999").encode()
    assert message_of(Tick, raw) == "Number out of range - at `$.price`"


def test_bytes_that_are_no_utf8_are_refused_by_name() -> None:
    raw = json.dumps(GOOD[NewsArticle]).encode().replace(b"Apple", b"App\xffle")
    assert message_of(NewsArticle, raw) == "Expected UTF-8, got byte 0xff - near `headline`"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", "truncated"),
        (b"\x00\x01\x02", "malformed"),
        (b"\xff\xfe\x00", "malformed"),
        (b"hello", "malformed"),
        (b"null", "Expected `object`, got `null`"),
        (b"[]", "Expected `object`, got `array`"),
        (b'"text"', "Expected `object`, got `str`"),
        (b'{"id":"a"', "truncated"),
        (b'{"id":"a"}{"id":"b"}', "missing required field"),
        (b'{"id":"\\ud800","source":"wire"}', "near `id`"),
        (b'{"x":' * 50_000, "nested too deeply"),
        (b"[" * 50_000, "Expected `object`, got `array`"),
    ],
)
def test_bytes_that_are_no_event_are_refused_with_a_reason(raw: bytes, expected: str) -> None:
    assert expected in message_of(NewsArticle, raw)
