"""A worker with a sequence model: live, through restarts, in replay and in training the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from models.artifact import Artifact
from models.rules import RulesModel
from models.scorer import ArtifactScorer
from stream.events import ClockTick, SentimentScored, Signal, decode, encode, micros
from stream.features import sequence
from stream.features.vector import FEATURE_SETS
from stream.scoring.due import Due
from stream.scoring.policy import Policy
from stream.scoring.step import ModelInForce, ScoreStep
from tests.artifacts import intraday_artifact, sequence_artifact
from tests.history import Outputs, Record
from tests.unit.training.test_replay_rows import make_market, policy, stored
from training.as_served import predictions
from training.replay import replay

FEATURES = FEATURE_SETS["intraday"]
MODEL = "lexicon-1"
MINUTES = 85
Stop = Callable[[int], bool]


def events() -> list[tuple[int, object]]:
    """Minutes of two symbols of one partition, with news now and then."""
    found = []
    for at, event in make_market(MINUTES):
        found.append((at, event))
        if isinstance(event, ClockTick) and at // 60_000_000 % 7 == 0:
            found.append((at, scored(event, len(found))))
    return found


def scored(beat: ClockTick, number: int) -> SentimentScored:
    return SentimentScored(
        article_id=f"n{number}", revision=1, status="published", symbol="AAA", source="wire",
        published_at=beat.at, available_at=beat.at, scored_at=beat.at, negative=0.1, neutral=0.2,
        positive=0.7, relevance=1.0, model=MODEL, text_hash=str(number), sketch=b"",
    )  # fmt: skip


def new_step(given: Policy, artifact: Artifact | None) -> ScoreStep:
    rules = RulesModel(FEATURES.name, FEATURES.version, FEATURES.names)
    model = ModelInForce(rules)
    model.put("champion", None if artifact is None else ArtifactScorer(artifact))
    step = ScoreStep(0, 1, given, model, build="b", clock=lambda: 0, stamp_outputs=False)
    asyncio.run(step.prepare("ticks", []))
    return step


def live(artifact: Artifact | None, *, stop: Stop = lambda i: False) -> list[Signal]:
    """Signals of a worker that is killed after the records that `stop` names, and restored."""
    given, out, slots = policy(), Outputs(), dict[bytes, bytes]()
    step = new_step(given, artifact)
    for i, (at, event) in enumerate(events()):
        topic = "sentiment" if isinstance(event, SentimentScored) else "ticks"
        key = b"*" if isinstance(event, ClockTick) else event.symbol.encode()  # type: ignore[attr-defined]
        record = Record(0, i, at // 1000, key, encode(event))  # type: ignore[arg-type]
        step.apply(topic, record, out)
        if stop(i):
            for slot, value in step.take_changes():
                slots.pop(slot, None) if value is None else slots.update({slot: value})
            meta = step.meta()
            step = new_step(given, artifact)
            step.restore(slots, meta)
    return [decode(Signal, value) for topic, _, value, _ in out if topic == "signals"]


@pytest.mark.parametrize("pooled", [False, True])
def test_training_rows_score_to_the_bit_as_the_worker_said(pooled: bool) -> None:
    artifact = sequence_artifact(pooled=pooled)
    rows = replay([(0, stored(events()))], policy(), MODEL, sequences=True)
    p, bps = predictions(ArtifactScorer(artifact), rows.x, rows.sequence)
    trained = {
        (symbol, trigger, int(as_of)): (*each, one)
        for symbol, trigger, as_of, each, one in zip(
            rows.symbol, rows.trigger, rows.as_of_us, p.tolist(), bps.tolist(), strict=True
        )
    }
    served = {
        (one.symbol, one.trigger, micros(one.as_of)): (
            one.probabilities.bearish, one.probabilities.neutral, one.probabilities.bullish,
            one.expected_return_bps,
        )
        for one in live(artifact)
    }  # fmt: skip
    assert len(trained) > 30
    assert len(set(trained.values())) > 30
    assert {trigger for _, trigger, _ in trained} == {"pane", "news"}
    assert {key: served[key] for key in trained} == trained


def test_a_worker_that_dies_and_comes_back_says_the_same() -> None:
    artifact = sequence_artifact()
    whole = live(artifact)
    assert len(whole) > 150
    assert live(artifact, stop=lambda i: i % 61 == 0) == whole


def test_panes_are_read_only_for_a_model_that_asks() -> None:
    for artifact, asks in (
        (sequence_artifact(), True),
        (intraday_artifact(), False),
        (None, False),
    ):
        step, due = new_step(policy(), artifact), list[Due]()
        for i, (at, event) in enumerate(make_market(minutes=3)):
            step.state.apply(event, i, at, due)
        assert due
        assert {one.sequence is not None for one in due} == {asks}
    assert replay([(0, stored(make_market()))], policy(), None).sequence is None


def test_a_worker_whose_panes_come_in_another_order_would_be_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usual = live(sequence_artifact())
    pack = sequence._pack
    monkeypatch.setattr(sequence, "_pack", lambda *values: pack(*values[8:], *values[:8]))
    assert live(sequence_artifact()) != usual


def test_ticks_are_scored_with_the_open_pane() -> None:
    given = policy(score_every_tick=True)
    step, out = new_step(given, sequence_artifact()), Outputs()
    for i, (at, event) in enumerate(make_market(minutes=40)):
        key = b"*" if isinstance(event, ClockTick) else event.symbol.encode()
        record = Record(0, i, at // 1000, key, encode(event))
        step.apply("ticks", record, out)
    said = [decode(Signal, v) for topic, _, v, _ in out if topic == "signals"]
    ticks = [one.score for one in said if one.trigger == "tick" and one.symbol == "AAA"]
    assert len(set(ticks)) > 0.9 * len(ticks)
