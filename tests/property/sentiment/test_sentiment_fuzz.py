"""20,000 damaged messages: each is rejected with a reason or counted, and state stays readable."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

from stream.engine.step import Outcome
from stream.errors import Rejected
from stream.events import MARKET_KEY
from tests.unit.sentiment.articles import T0, Kept, Rec, article, live, record, replay

N = 20_000
CHUNK = 500

FIELDS: dict[str, Any] = {
    "id": "a",
    "source": "wire",
    "published_at": "2024-03-05T14:59:59Z",
    "received_at": "2024-03-05T15:00:00Z",
    "headline": "Apple beats estimates, $MSFT falls",
    "body": "The company said &amp; did https://example.org/x",
    "symbols": ["AAPL"],
    "revision": 1,
    "status": "published",
    "lang": "en",
    "url": "https://example.org",
}
ODD: list[Any] = [
    None, True, 0, -1, 1.5, 2**64, -(2**70), 1e308, float("nan"), float("-inf"), "", " ", "\x00",
    "*", "$" * 300, "\U0001f680", "x" * 3_000, "\u202e\u200b", "&#0;&#x110000;&nosuch;", "@meta",
    "2024-03-05T15:00:00", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59",
    "2024-02-30T00:00:00Z", "2024-03-05T15:00:00.999999999Z", [], {}, [None], [[]], ["AAPL"] * 101,
    ["$AAPL"], ["A", "A", "B-B", "C/D"], {"a": {"b": []}}, "retracted", "corrected", MARKET_KEY,
]  # fmt: skip


def changed_field(rng: random.Random) -> tuple[bytes, bytes]:
    event = {**FIELDS, "id": f"id{rng.randrange(50)}", "revision": rng.randrange(1, 9)}
    key = event["id"].encode()
    for _ in range(rng.randrange(1, 3)):
        name = rng.choice([*FIELDS, "other"])
        if rng.random() < 0.2:
            event.pop(name, None)
        else:
            event[name] = rng.choice(ODD)
    if isinstance(event.get("id"), str) and rng.random() < 0.8:
        key = event["id"].encode()
    return json.dumps(event, ensure_ascii=rng.random() < 0.5).encode(), key


def changed_bytes(rng: random.Random) -> tuple[bytes, bytes]:
    raw = bytearray(json.dumps(FIELDS).encode())
    for _ in range(rng.randrange(1, 6)):
        at = rng.randrange(len(raw) + 1)
        match rng.randrange(4):
            case 0:
                raw[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                del raw[at : at + rng.randrange(1, 40)]
            case 2:
                raw[at:at] = rng.randbytes(rng.randrange(1, 9))
            case _:
                raw[at:at] = rng.choice([b"{", b"[", b'"', b"\\u", b"\\ud800", b"NaN", b"1e999"])
    return bytes(raw), b"a"


def noise(rng: random.Random) -> tuple[bytes | None, bytes | None]:
    return (
        rng.choice([None, b"", rng.randbytes(rng.randrange(200)), b"[" * 2_000, b'{"a":' * 2_000]),
        rng.choice([None, b"", b"a", rng.randbytes(20)]),
    )


def damaged(rng: random.Random, offset: int) -> Rec:
    value, key = rng.choice([changed_field, changed_field, changed_bytes, noise])(rng)
    at_ms = rng.choice([T0 // 1000, T0 // 1000, T0 // 1000 + offset, -1, 0])
    return Rec(value, key, at_ms, offset)


def test_damaged_messages_are_rejected_or_counted_and_good_ones_still_scored() -> None:
    rng = random.Random(20240305)
    for step, seen in ((live(), N // 2), (replay(), N // 2)):
        asyncio.run(run(step, rng, seen))


async def run(step: Any, rng: random.Random, n: int) -> None:
    out = Kept()  # decodes all that is sent, so it checks that scores are valid events
    ended = dict.fromkeys([*Outcome, "rejected"], 0)
    reasons = set()
    slots: dict[bytes, bytes] = {}
    for first in range(0, n, CHUNK):
        chunk = [damaged(rng, first + i) for i in range(CHUNK)]
        await step.prepare("news", chunk)
        for each in chunk:
            try:
                ended[step.apply("news", each, out)] += 1
            except Rejected as rejected:
                ended["rejected"] += 1
                reasons.add(str(rejected)[:60])
        for slot, value in step.take_changes():
            if value is None:
                slots.pop(slot, None)
            else:
                slots[slot] = value
    assert sum(ended.values()) == n
    assert ended["rejected"] > n / 4
    assert ended[Outcome.APPLIED] > 100
    assert ended[Outcome.DUPLICATE] > 100
    assert len(reasons) > 40
    assert all(len(reason) > 5 for reason in reasons)
    other = live()
    other.restore(slots, step.meta())
    sent = Kept()
    assert other.apply("news", record(article("good", symbols=("GOOD",))), sent) is Outcome.APPLIED
    assert [each.event.symbol for each in sent.sent] == ["GOOD"]
