"""Random and mutated messages: what a broken or hostile producer might send to an input topic."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime

from stream.events import (
    Bar,
    ClockTick,
    CorporateAction,
    Instrument,
    NewsArticle,
    Observation,
    SentimentScored,
    Tick,
    encode,
)

AT = datetime(2024, 3, 5, 15, 0, tzinfo=UTC)
KEYS = (b"AAPL", b"*", b"", b"\xff\xfe", b"a|b", b"@meta", b"n1", b"X" * 3_000)
_SEEDS: dict[str, list[bytes]] = {
    "news": [encode(NewsArticle(id="n1", source="wire", published_at=AT, received_at=AT,
                                headline="AAPL profit surges", body="it does", symbols=("AAPL",)))],
    "ticks": [encode(Tick(symbol="AAPL", ts=AT, price=100.0, size=10.0, bid=99.0, seq=1)),
              encode(ClockTick(kind="open", at=AT, calendar="XNYS", session=date(2024, 3, 5)))],
    "bars": [encode(Bar(symbol="AAPL", start=AT, end=AT.replace(minute=1), open=1.0, high=2.0,
                        low=1.0, close=1.5, volume=10.0, n_trades=3))],
    "context": [encode(Observation(symbol="AAPL", source="s", metric="m", value=1.0, ts=AT))],
    "actions": [encode(CorporateAction(symbol="AAPL", kind="split", ex_date=date(2024, 3, 6),
                                       value=2.0, announced_at=AT))],
    "instruments": [encode(Instrument(symbol="AAPL", aliases=("Apple",)))],
    "sentiment": [encode(SentimentScored(
        article_id="n1", revision=1, status="published", symbol="AAPL", source="wire",
        published_at=AT, available_at=AT, scored_at=AT, negative=0.1, neutral=0.2, positive=0.7,
        relevance=1.0, model="lexicon", text_hash="h"))],
}  # fmt: skip
TOPICS = tuple(_SEEDS)
_ODD = (
    None, True, -1, 0, -0.0, 2**31, 2**63, 2**70, 1e308, -1e-308, 5e-324, "", "\0", "\ud7ff",
    "x" * 70_000, "1969-12-31T23:59:59Z", "9999-12-31T23:59:59.999999Z", "0001-01-01T00:00:00Z",
    "2024-03-05", [], {},
    [[]], ["AAPL"] * 200, {"a": {"b": []}}, "NaN", "AAPL|misc", "@meta", "AAPL\n", "Ä" * 64,
)  # fmt: skip


def mutants(topic: str, seed: int, n: int) -> Iterator[tuple[bytes | None, bytes | None]]:
    """Keys and values; about one in ten is as it should be."""
    rng = random.Random(f"{topic} {seed}")
    ways: tuple[Callable[[random.Random, bytes], bytes | None], ...] = (
        _sound, _noise, _flipped, _cut, _doubled, _other_field, _other_field, _other_field,
        _missing_field, _unknown_field, _deep, _gone,
    )  # fmt: skip
    for _ in range(n):
        value = rng.choice(ways)(rng, rng.choice(_SEEDS[topic]))
        key = b"AAPL" if rng.random() < 0.7 else rng.choice((*KEYS, None))
        yield key, value


def _sound(rng: random.Random, raw: bytes) -> bytes:
    return raw


def _noise(rng: random.Random, raw: bytes) -> bytes:
    return rng.randbytes(rng.randint(0, 300))


def _flipped(rng: random.Random, raw: bytes) -> bytes:
    changed = bytearray(raw)
    for _ in range(rng.randint(1, 4)):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def _cut(rng: random.Random, raw: bytes) -> bytes:
    return raw[: rng.randrange(len(raw))]


def _doubled(rng: random.Random, raw: bytes) -> bytes:
    at = rng.randrange(len(raw))
    return raw[:at] + raw[at // 2 :]


def _other_field(rng: random.Random, raw: bytes) -> bytes:
    fields = json.loads(raw)
    fields[rng.choice(list(fields))] = rng.choice(_ODD)
    return json.dumps(fields).encode()


def _missing_field(rng: random.Random, raw: bytes) -> bytes:
    fields = json.loads(raw)
    fields.pop(rng.choice(list(fields)))
    return json.dumps(fields | {"unknown": 1}).encode()


def _unknown_field(rng: random.Random, raw: bytes) -> bytes:
    """Read by nobody, so whatever is in it is not looked at."""
    n = 400_000 if rng.random() < 0.02 else 10
    more = rng.choice((b"\xff", b"\\ud800", b"\\u0000", b'\\"' * n))
    return raw[:-1] + b',"more":"' + more + b'"}'


def _deep(rng: random.Random, raw: bytes) -> bytes:
    return rng.choice((b"[", b'{"a":')) * rng.randint(1, 20_000)


def _gone(rng: random.Random, raw: bytes) -> None:
    return None
