"""Bytes in, signals out: what is refused and why, what is late, who speaks, and why it abstains."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from models.rules import RulesModel
from models.scorer import Score
from stream.engine.step import Outcome
from stream.engine.topics import partition_of
from stream.errors import Refused, Rejected
from stream.events import (
    MARKET_KEY,
    ClockTick,
    LateEvent,
    PaneClosed,
    SentimentScored,
    Signal,
    Tick,
    decode,
    encode,
    micros,
    moment,
)
from stream.features.vector import FEATURE_SETS
from stream.scoring.policy import Policy
from stream.scoring.step import NO_MODEL, ModelInForce, ScoreStep
from tests.factories import policy

T0 = 1_700_000_040_000_000
SECOND = 1_000_000
MINUTE = 60 * SECOND
FEATURES = FEATURE_SETS["intraday"]
N_PARTITIONS = 4
SURE = Score(0.1, 0.1, 0.8, 12.0)
HOME = partition_of(b"AAPL", N_PARTITIONS)
POLICY = policy(model_max_age_s=86_400.0)


@dataclass
class Record:
    value: bytes | None
    key: bytes | None = b"AAPL"
    timestamp: int = T0 // 1000
    offset: int = 0
    partition: int = HOME


@dataclass
class Champion:
    """A model whose answers the test chooses; a real implementation of the Scorer protocol."""

    answer: Score = SURE
    trained_until_us: int | None = T0
    sentiment_model: str | None = "lexicon-1"
    reads_sequence: bool = False
    strange: bool = False
    name: str = "chosen"
    version: str = "v1"
    horizon: str = "30m"
    horizon_s: float = 1800.0
    feature_set: str = "intraday"
    feature_set_version: int = FEATURES.version
    threshold: float = 0.6

    def score(self, features: object, sequence: object = None) -> Score:
        return self.answer

    def unlike(self, features: object) -> bool:
        return self.strange


class Outputs(list[tuple[str, bytes, bytes]]):
    def send(self, topic, key, value, *, partition=None, timestamp_ms=None) -> None:  # type: ignore[no-untyped-def]
        self.append((topic, key, value))

    def of(self, topic: str) -> list[bytes]:
        return [value for name, _, value in self if name == topic]


def make_step(champion: Champion | None = None, policy: Policy = POLICY) -> ScoreStep:
    rules = RulesModel("intraday", FEATURES.version, FEATURES.names)
    return ScoreStep(
        HOME,
        N_PARTITIONS,
        policy,
        ModelInForce(rules, champion),
        build="b",
        clock=lambda: T0,
        stamp_outputs=False,
    )


def tick(at: int, **changes: object) -> Record:
    given = {"symbol": "AAPL", "ts": moment(at), "price": 100.0, "size": 10.0, **changes}
    return Record(encode(Tick(**given)), timestamp=at // 1000)  # type: ignore[arg-type]


def news(at: int, model: str = "lexicon-1") -> Record:
    scored = SentimentScored(
        article_id="a1",
        revision=1,
        status="published",
        symbol="AAPL",
        source="wire",
        published_at=moment(at),
        available_at=moment(at),
        scored_at=moment(at),
        negative=0.0,
        neutral=0.1,
        positive=0.9,
        relevance=1.0,
        model=model,
        text_hash="x",
    )
    return Record(encode(scored), timestamp=at // 1000)


def beat(at: int) -> Record:
    raw = encode(ClockTick(kind="beat", at=moment(at)))
    return Record(raw, key=MARKET_KEY.encode(), timestamp=at // 1000)


def warmed(champion: Champion | None = None, policy: Policy = POLICY) -> tuple[ScoreStep, Outputs]:
    """A step past its warm-up, at T0."""
    step, out = make_step(champion, policy), Outputs()
    asyncio.run(step.prepare("ticks", []))
    for i in range(FEATURES.warmup_panes + 2):
        at = T0 - (FEATURES.warmup_panes + 2 - i) * MINUTE
        step.apply("ticks", tick(at, price=100 + i % 3), out)
    step.apply("ticks", beat(T0), out)
    out.clear()
    return step, out


def news_signal(
    champion: Champion | None = None, policy: Policy = POLICY, model: str = "lexicon-1"
) -> Signal:
    step, out = warmed(champion, policy)
    step.apply("ticks", tick(T0 + SECOND), out)
    step.apply("sentiment", news(T0 + 2 * SECOND, model), out)
    return decode(Signal, out.of("signals")[-1])


GOOD = '"symbol":"AAPL","ts":"2023-11-14T22:14:00Z","price":1,"size":1'


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (b"\xff\xfe", r"malformed|invalid"),
        (b"", r"truncated"),
        (b"[1]", r"Expected `object`"),
        (b'{"symbol":"AAPL"}', r"missing required field `ts`"),
        (GOOD.replace('"price":1', '"price":"one"'), r"Expected `float`.*\$\.price"),
        (GOOD.replace('"price":1', '"price":-1'), r"> 0.*\$\.price"),
        (GOOD.replace('"price":1', '"price":NaN'), r"price"),
        (GOOD.replace('"price":1', '"price":1e999'), r"price"),
        (GOOD.replace('"size":1', '"size":-1'), r">= 0.*\$\.size"),
        (GOOD.replace("22:14:00Z", "22:14:00"), r"timezone.*\$\.ts"),
        (GOOD.replace("AAPL", "aa pl"), r"\$\.symbol"),
    ],
)
def test_a_bad_tick_is_rejected_with_the_field_and_what_was_expected(
    value: bytes | str, says: str
) -> None:
    raw = value if isinstance(value, bytes) else b"{" + value.encode() + b"}"
    step = make_step()
    with pytest.raises(Rejected, match=says):
        step.apply("ticks", Record(raw), Outputs())
    assert step.apply("ticks", tick(T0), Outputs()) is Outcome.APPLIED


def test_a_key_that_is_not_the_symbol_is_rejected() -> None:
    with pytest.raises(Rejected, match=r"key: expected the record's symbol b'AAPL', got b'IBM'"):
        make_step().apply("ticks", Record(tick(T0).value, key=b"IBM"), Outputs())


def test_a_symbol_in_another_partition_is_rejected_with_its_own() -> None:
    foreign = next(
        s for s in ("IBM", "MSFT", "SPY", "BAC") if partition_of(s.encode(), N_PARTITIONS) != HOME
    )
    raw = encode(Tick(symbol=foreign, ts=moment(T0), price=1.0, size=1.0))
    home = partition_of(foreign.encode(), N_PARTITIONS)
    with pytest.raises(Rejected, match=f"partition: expected {home} for"):
        make_step().apply("ticks", Record(raw, key=foreign.encode()), Outputs())


def test_a_record_without_a_value_is_rejected() -> None:
    with pytest.raises(Rejected, match="value: expected a JSON object, got none"):
        make_step().apply("ticks", Record(None), Outputs())


def test_a_late_tick_goes_whole_to_late_events_with_how_late_it_was() -> None:
    step, out = warmed()
    late = tick(T0 - 5 * MINUTE)
    assert step.apply("ticks", late, out) is Outcome.LATE
    event = decode(LateEvent, out.of("late-events")[0])
    assert event.late_by_s == 300.0
    assert event.payload == (late.value or b"").decode()
    assert out.of("signals") == []


@pytest.mark.parametrize("more", [b"\x91", b"\xc3", b'\\"' * 400_000, "Ä".encode() * 400_000])
def test_a_late_tick_with_a_strange_unknown_field_fits_a_record(more: bytes) -> None:
    step, out = warmed()
    late = tick(T0 - 5 * MINUTE)
    assert late.value is not None
    late.value = late.value[:-1] + b',"more":"' + more + b'"}'
    assert step.apply("ticks", late, out) is Outcome.LATE
    (raw,) = out.of("late-events")
    assert len(raw) < 1_000_000
    assert decode(LateEvent, raw).payload.startswith(late.value[:100].decode())


def test_a_closed_pane_goes_out_with_its_signal_and_positions() -> None:
    step, out = warmed()
    step.apply("ticks", tick(T0 + SECOND), out)
    step.apply("ticks", beat(T0 + 2 * MINUTE), out)
    pane = decode(PaneClosed, out.of("panes")[-1])
    signal = decode(Signal, out.of("signals")[-1])
    assert micros(pane.end) == T0 + MINUTE
    assert signal.trigger_ref == str(T0 + MINUTE)
    assert micros(signal.as_of) == T0 + MINUTE + 2 * SECOND
    assert set(signal.features) == set(FEATURES.names)
    assert "ticks" in signal.positions


def test_without_a_champion_the_rules_speak_and_say_so() -> None:
    signal = news_signal()
    assert (signal.model.role, signal.actionable) == ("rules", False)
    assert signal.abstain_reason == NO_MODEL
    assert any(NO_MODEL in sentence for sentence in signal.reasons)


def test_a_confident_champion_on_fresh_input_is_actionable() -> None:
    signal = news_signal(Champion())
    assert signal.abstain_reason is None
    assert signal.actionable
    assert (signal.direction, signal.model.version) == ("BULLISH", "v1")
    assert signal.evidence == ("a1",)
    assert signal.score == pytest.approx(0.7)
    assert micros(signal.valid_until) - micros(signal.as_of) == 1800 * SECOND


@pytest.mark.parametrize(
    ("champion", "model", "says"),
    [
        (Champion(answer=Score(0.1, 0.8, 0.1, None)), "lexicon-1", "direction is NEUTRAL"),
        (Champion(answer=Score(0.3, 0.2, 0.5, None)), "lexicon-1", "confidence 0.500 is under"),
        (Champion(strange=True), "lexicon-1", "input unlike the training data"),
        (Champion(), "finbert", "1 of 1 sentiment scores come from another model"),
        (Champion(trained_until_us=T0 - 2 * 86_400 * SECOND), "lexicon-1", "model v1 is older"),
    ],
)
def test_a_signal_abstains_with_its_reason(champion: Champion, model: str, says: str) -> None:
    signal = news_signal(champion, model=model)
    assert not signal.actionable
    assert says in (signal.abstain_reason or "")


def test_a_symbol_still_warming_up_abstains() -> None:
    step, out = make_step(Champion()), Outputs()
    step.apply("ticks", tick(T0), out)
    step.apply("sentiment", news(T0 + SECOND), out)
    assert "warming up" in (decode(Signal, out.of("signals")[0]).abstain_reason or "")


def test_stale_prices_abstain() -> None:
    step, out = warmed(Champion())
    step.apply("ticks", beat(T0 + 10 * MINUTE), out)
    out.clear()
    step.apply("sentiment", news(T0 + 10 * MINUTE), out)
    assert "stale prices" in (decode(Signal, out.of("signals")[0]).abstain_reason or "")


def test_the_same_records_give_the_same_id_and_a_new_revision_another() -> None:
    assert news_signal().signal_id == news_signal(Champion()).signal_id
    assert news_signal().signal_id != news_signal().signal_key


def test_a_new_champion_takes_over_at_the_next_chunk() -> None:
    rules = RulesModel("intraday", FEATURES.version, FEATURES.names)
    in_force = ModelInForce(rules)
    step = ScoreStep(
        HOME, N_PARTITIONS, POLICY, in_force, build="b", clock=lambda: T0, stamp_outputs=False
    )
    out = Outputs()
    step.apply("sentiment", news(T0), out)
    in_force.champion = Champion()
    step.apply("ticks", tick(T0), out)
    assert step.meta()["model"] is None
    asyncio.run(step.prepare("ticks", []))
    assert step.meta()["model"] == "v1"


def test_state_of_another_feature_set_version_is_refused() -> None:
    step = make_step()
    meta = {**step.meta(), "feature_set_version": 99}
    with pytest.raises(Refused, match="expected feature set intraday version"):
        make_step().restore({}, meta)
