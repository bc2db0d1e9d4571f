"""A score role that was away finds its backlog in its own time: nothing in it is late."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from stream.engine.topics import create_topics
from stream.events import MARKET_KEY, ClockTick, Tick, encode
from stream.settings import Settings
from tests.e2e.servers import environment, publish, rows_of, verified

pytestmark = pytest.mark.stack

START = datetime(2024, 3, 5, 15, 0, tzinfo=UTC)
SYMBOLS = ("AAPL", "MSFT", "XOM", "KO")
BEAT_S = 10


def tape(first_s: int, end_s: int) -> Iterator[tuple[str, str, bytes, int]]:
    """A trade a second, and the beats of all partitions, as the clock would have sent them live."""
    for second in range(first_s, end_s):
        at = START + timedelta(seconds=second)
        at_ms = int(at.timestamp() * 1000)
        symbol = SYMBOLS[second % len(SYMBOLS)]
        tick = Tick(symbol=symbol, ts=at, price=100 + second % 7 / 10, size=10)
        yield "ticks", symbol, encode(tick), at_ms
        if second % BEAT_S == 0:
            beat = encode(ClockTick(kind="beat", at=at - timedelta(seconds=2)))
            yield from (("ticks", MARKET_KEY, beat, at_ms) for _ in range(2))


def worker(role: str, env: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "stream.cli", "worker", "--role", role], env=env)


def test_five_minutes_away_under_live_beats_make_nothing_late(
    settings: Callable[..., Settings],
) -> None:
    mine = settings(mode="live", partitions=1)
    env = environment(mine, TAPEWIRE_PARTITIONS="1")
    asyncio.run(create_topics(mine))
    subprocess.run([sys.executable, "-m", "stream.cli", "migrate"], env=env, check=True)
    archive, score = worker("archive", env), worker("score", env)
    try:
        publish(mine, tape(0, 200))
        rows_of(mine, "SELECT 1 FROM signals", 3 * len(SYMBOLS))
        score.terminate()
        assert score.wait(30) == 0
        publish(mine, tape(200, 500))
        rows_of(mine, "SELECT 1 FROM ticks", 500)
        assert len(rows_of(mine, "SELECT 1 FROM signals", 1)) == 3 * len(SYMBOLS)
        score = worker("score", env)
        publish(mine, tape(500, 560))
        rows_of(mine, "SELECT 1 FROM signals", 8 * len(SYMBOLS))
        rows_of(mine, "SELECT 1 FROM ticks", 560)
    finally:
        for process in (archive, score):
            process.terminate()
        for process in (archive, score):
            process.wait(30)
    code, found = verified(env)
    assert (code, found["pending"]) == (0, 0), found
    assert found["equal"] >= 8 * len(SYMBOLS)
    assert sum(each["late"] for each in found["accounts"]) == 0
    assert sum(each["late"] for each in found["roles"]) == 0
