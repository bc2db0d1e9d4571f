"""The same log gives the same pane signals, however its records arrive."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from models.rules import RulesModel
from stream.engine.merge import Queue, next_run
from stream.engine.topics import partition_of
from stream.errors import Rejected
from stream.events import CorporateAction, SentimentScored, Signal, decode, encode
from stream.features.vector import FEATURE_SETS
from stream.scoring.step import ModelInForce, ScoreStep
from tests.factories import policy
from tests.history import Outputs, Record
from tests.integration.faults.recorded import SYMBOLS, recorded
from tests.unit.features.scripts import SKETCHES

START = datetime(2024, 3, 5, 15, 0, tzinfo=UTC)
SPAN = timedelta(minutes=6)
TOPICS = ("ticks", "sentiment", "actions")
HOME = 0
MINE = [symbol for symbol in SYMBOLS if partition_of(symbol.encode(), 4) == HOME]


def logs(seed: int) -> dict[str, list[Record]]:
    """One partition of each topic; sentiment and actions are there before the tape begins."""
    sent = recorded(seed, start=START, span=SPAN, n_ticks=1_500, n_partitions=1)
    tape = [
        s for s in sent if s.topic == "ticks" and (s.partition == HOME or s.key.decode() in MINE)
    ]
    first_ms = int(START.timestamp() * 1000)
    rng = random.Random(seed)
    found: dict[str, list[Record]] = {topic: [] for topic in TOPICS}
    for i, each in enumerate(tape):
        at_ms = int(each.at.timestamp() * 1000)
        found["ticks"].append(Record(HOME, i, at_ms, each.key, each.value))
    for i in range(40):
        symbol, at = rng.choice(MINE), START + SPAN * rng.random()
        scored = SentimentScored(
            article_id=f"n{i}", revision=1, status="published", symbol=symbol, source="wire",
            published_at=at, available_at=at, scored_at=at, negative=0.1, neutral=0.2,
            positive=0.7, relevance=1.0, model="lexicon", text_hash=str(i),
            sketch=rng.choice(SKETCHES),
        )  # fmt: skip
        found["sentiment"].append(Record(HOME, i, first_ms - 2, symbol.encode(), encode(scored)))
    for i, symbol in enumerate(MINE):
        split = CorporateAction(
            symbol=symbol, kind="split", ex_date=START.date(), value=2.0, announced_at=START
        )
        found["actions"].append(Record(HOME, i, first_ms - 1, symbol.encode(), encode(split)))
    return found


def new_step() -> ScoreStep:
    features = FEATURE_SETS["intraday"]
    rules = RulesModel(features.name, features.version, features.names)
    return ScoreStep(
        HOME, 4, policy(), ModelInForce(rules), build="b", clock=lambda: 0, stamp_outputs=False
    )


def pane_signals(found: dict[str, list[Record]], chunks: int, order: Sequence[int]) -> list[bytes]:
    """Signals of a step that is fed `chunks` records at a time, topics in the order given."""
    step = new_step()
    queues = {topic: Queue(topic) for topic in TOPICS}
    out, fetched = Outputs(), dict.fromkeys(TOPICS, 0)

    def behind(topic: str) -> bool:
        return fetched[topic] < len(found[topic])

    while any(behind(topic) or queues[topic].records for topic in TOPICS):
        for i in order:
            topic = TOPICS[i]
            chunk = found[topic][fetched[topic] : fetched[topic] + chunks]
            queues[topic].records.extend(chunk)
            fetched[topic] += len(chunk)
            while run := next_run(list(queues.values()), behind, tape="ticks", tape_last=False):
                asyncio.run(step.prepare(*run))
                for record in run[1]:
                    try:
                        step.apply(run[0], record, out)
                    except Rejected:
                        continue
    signals = [decode(Signal, value) for topic, _, value, _ in out if topic == "signals"]
    return [msgspec.json.encode(signal) for signal in signals if signal.trigger == "pane"]


@settings(max_examples=15, deadline=None)
@given(
    st.integers(0, 3),
    st.integers(1, 700),
    st.integers(1, 700),
    st.permutations(range(3)),
    st.permutations(range(3)),
)
def test_chunk_sizes_and_fetch_orders_change_no_pane_signal(
    seed: int, one: int, other: int, first: list[int], second: list[int]
) -> None:
    found = logs(seed)
    signals = pane_signals(found, one, first)
    assert len(signals) > 20
    assert signals == pane_signals(found, other, second)
