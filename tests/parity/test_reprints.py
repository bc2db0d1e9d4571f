"""Re-prints are told alike live and in replay, in any chunks, and after a restart at any record."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable

import msgspec
import pytest

from models.rules import RulesModel
from stream.engine.topics import partition_of
from stream.events import (
    MARKET_KEY,
    NewsArticle,
    SentimentScored,
    Signal,
    decode,
    encode,
    micros,
    moment,
)
from stream.features.vector import FEATURE_SETS
from stream.scoring.step import ModelInForce, ScoreStep
from tests.factories import at, beat, policy, tick
from tests.history import Outputs, Record
from tests.unit.sentiment import articles
from tests.unit.sentiment.rewrites import headlines, rewritten

HOME = partition_of(b"AAPL", 4)
FEATURES = FEATURE_SETS["intraday"]


def told(seed: int, n: int = 60) -> list[NewsArticle]:
    """Stories and their rewrites under other ids, some of them corrected or retracted."""
    rng, bases = random.Random(seed), [each.text for each in headlines(seed, 8)]
    found: list[NewsArticle] = []
    for i in range(n):
        known = [each for each in found if each.revision == 1]
        received = moment(articles.T0 + i * articles.SECOND)
        if known and rng.random() < 0.25:
            one = rng.choice(known)
            revision = 1 + sum(each.id == one.id for each in found)
            change = {"status": "retracted"}
            if rng.random() < 0.5:
                change = {"status": "corrected", "headline": rng.choice(bases)}
            found.append(
                msgspec.structs.replace(one, revision=revision, received_at=received, **change)
            )
            continue
        text = rng.choice(bases)
        text = rewritten(rng, text, rng.randrange(1, 4)) if rng.random() < 0.6 else text
        source = rng.choice(["reuters", "blog", "wire"])
        found.append(articles.article(f"n{i}", text, source=source, received_at=received))
    return found


def scored(found: list[NewsArticle], *, live: bool, chunk: int) -> list[SentimentScored]:
    step = articles.live(clock_us=articles.T0 + 10**9) if live else articles.replay()
    out: list[SentimentScored] = []
    for first in range(0, len(found), chunk):
        out += articles.scores(step, *found[first : first + chunk], first=first)
    return out


def records(found: list[SentimentScored]) -> list[tuple[str, Record]]:
    """The scores as the log of one partition, with trades and beats between them."""
    log: list[tuple[str, Record]] = []
    first = micros(found[0].available_at)
    for i, each in enumerate(found):
        ms = micros(each.available_at) // 1000
        log.append(("sentiment", Record(HOME, i, ms, b"AAPL", encode(each))))
        seconds = (first + i * 7 * 10**6 - micros(at())) / 1e6
        trade, pulse = tick(seconds=seconds, price=100.0 + i % 3), beat(seconds + 5)
        for k, (key, event) in enumerate(((b"AAPL", trade), (MARKET_KEY.encode(), pulse))):
            log.append(("ticks", Record(HOME, 2 * i + k, ms + 10**7, key, encode(event))))
    return log


def new_step() -> ScoreStep:
    rules = RulesModel(FEATURES.name, FEATURES.version, FEATURES.names)
    return ScoreStep(
        HOME, 4, policy(), ModelInForce(rules), build="b", clock=lambda: 0, stamp_outputs=False
    )


def signals(log: Iterable[tuple[str, Record]], restart_every: int | None = None) -> list[bytes]:
    """Signals of a step that is thrown away and restored from its slots every n records."""
    step, slots, out = new_step(), {}, Outputs()
    for i, (topic, record) in enumerate(log):
        asyncio.run(step.prepare(topic, [record]))
        step.apply(topic, record, out)
        if restart_every is not None and i % restart_every == 0:
            for slot, value in step.take_changes():
                if value is None:
                    slots.pop(slot, None)
                else:
                    slots[slot] = value
            meta = msgspec.json.decode(msgspec.json.encode(step.meta()))
            step = new_step()
            step.restore(slots, meta)
    return [value for topic, _, value, _ in out if topic == "signals"]


@pytest.mark.parametrize("seed", [1, 2])
def test_live_and_replay_give_the_same_sketches_in_any_chunks(seed: int) -> None:
    found = told(seed)
    known = scored(found, live=True, chunk=1)
    assert len({each.sketch for each in known}) > 10
    for live, chunk in ((True, 7), (True, len(found)), (False, 1), (False, 13)):
        again = scored(found, live=live, chunk=chunk)
        assert [each.sketch for each in again] == [each.sketch for each in known]
    assert all(each.sketch == b"" for each in known if each.status == "retracted")


@pytest.mark.parametrize("seed", [3, 4])
def test_signals_are_the_same_after_a_restart_at_any_record(seed: int) -> None:
    log = records(scored(told(seed), live=False, chunk=5))
    whole = signals(log)
    shares = [decode(Signal, each).features["news_reprinted_1d"] for each in whole]
    assert sum(share is not None and share > 0.2 for share in shares) > 20
    for restart_every in (1, 2, 5, 17):
        assert signals(log, restart_every) == whole


def test_a_score_delivered_twice_changes_no_signal() -> None:
    log = records(scored(told(5), live=False, chunk=5))
    twice = [each for each in log for _ in range(2 if each[0] == "sentiment" else 1)]
    assert signals(twice) == signals(log)


def test_without_sketches_the_signals_differ() -> None:
    """So the tests above would see a sketch that is lost on its way."""
    found = scored(told(6), live=False, chunk=5)
    bare = [msgspec.structs.replace(each, sketch=b"") for each in found]
    assert signals(records(found)) != signals(records(bare))
