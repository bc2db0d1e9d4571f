"""A challenger beside the champion: what it sends, when it is put down, what it never touches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from models.rules import RulesModel
from models.scorer import Score, Scorer
from stream.events import Signal, decode
from stream.scoring.challenger import Challenger
from stream.scoring.policy import Policy
from stream.scoring.step import ModelInForce, ScoreStep
from tests.factories import policy
from tests.unit.scoring.test_scoring_step import (
    FEATURES,
    HOME,
    MINUTE,
    N_PARTITIONS,
    POLICY,
    SECOND,
    T0,
    Champion,
    Outputs,
    beat,
    news,
    tick,
)

BEARISH = Champion(answer=Score(0.7, 0.2, 0.1, -5.0), version="v2")


@dataclass
class Failing(Champion):
    """Answers three times."""

    version: str = "v2"
    answers_left: int = 3

    def score(self, features: object, sequence: object = None) -> Score:
        if self.answers_left == 0:
            raise RuntimeError("out of memory")
        self.answers_left -= 1
        return self.answer


@dataclass
class Both:
    """What went out by topic, and what the last checkpoint would say."""

    signals: list[bytes]
    shadows: list[Signal]
    meta: dict[str, object]


def scored(
    champion: Scorer | None, challenger: Challenger | None, policy: Policy = POLICY, n: int = 20
) -> Both:
    """Some panes and articles through a step."""
    rules = RulesModel("intraday", FEATURES.version, FEATURES.names)
    step = ScoreStep(
        HOME,
        N_PARTITIONS,
        policy,
        ModelInForce(rules, champion, challenger),
        build="b",
        clock=iter(range(T0, T0 + 10_000)).__next__,
        stamp_outputs=True,
    )
    out = Outputs()
    asyncio.run(step.prepare("ticks", []))
    for i in range(n):
        step.apply("ticks", tick(T0 + i * MINUTE, price=100 + i % 3), out)
        if i % 4 == 0:
            step.apply("sentiment", news(T0 + i * MINUTE + SECOND), out)
    step.apply("ticks", beat(T0 + n * MINUTE), out)
    shadows = [decode(Signal, raw) for raw in out.of("shadow-signals")]
    return Both(out.of("signals"), shadows, step.meta())


def roles(signals: list[bytes]) -> set[str]:
    return {decode(Signal, raw).model.role for raw in signals}


@pytest.mark.parametrize("champion", [Champion(), None], ids=["champion", "rules"])
@pytest.mark.parametrize("make", [lambda: BEARISH, Failing], ids=["well", "failing"])
def test_the_champions_signals_are_the_same_bytes_with_and_without_a_challenger(
    champion: Champion | None, make: Callable[[], Scorer]
) -> None:
    alone = scored(champion, None)
    beside = scored(champion, Challenger(make()))
    assert beside.signals == alone.signals != []
    assert alone.shadows == []
    assert beside.shadows != []


def test_each_signal_has_its_shadow_of_the_same_moment_and_features() -> None:
    both = scored(Champion(), Challenger(BEARISH))
    assert len(both.signals) == len(both.shadows) == 20
    for raw, shadow in zip(both.signals, both.shadows, strict=True):
        signal = decode(Signal, raw)
        same = ("signal_id", "as_of", "features", "positions", "evidence", "policy_id")
        assert [getattr(signal, f) for f in same] == [getattr(shadow, f) for f in same]
        assert (signal.model.role, shadow.model.role) == ("champion", "challenger")
        assert (shadow.model.version, shadow.direction) == ("v2", "BEARISH")
    assert both.meta["challenger"] == "v2"


def test_a_challenger_that_fails_is_put_down_and_the_checkpoint_says_so() -> None:
    challenger = Challenger(Failing())
    both = scored(Champion(), challenger)
    assert (len(both.shadows), challenger.dropped, both.meta["challenger"]) == (3, True, None)


@pytest.mark.parametrize("strange", [float("nan"), 1.5, -0.1])
def test_probabilities_that_are_none_are_a_failure(strange: float) -> None:
    challenger = Challenger(Champion(answer=Score(0.5, strange, 0.5, None), version="v2"))
    assert scored(Champion(), challenger).shadows == []
    assert challenger.dropped


@pytest.mark.parametrize(("row_s", "answers"), [(0.004, 500), (0.006, 167), (0.3, 4), (10.0, 1)])
def test_a_slow_challenger_is_put_down_once_its_rows_cost_too_much(
    row_s: float, answers: int
) -> None:
    def clock() -> Iterator[float]:
        now = 0.0
        while True:
            yield now
            yield (now := now + row_s)

    challenger = Challenger(BEARISH, clock().__next__)
    signal = scored(Champion(), Challenger(BEARISH), n=3).shadows[0]
    n = 0
    while not challenger.dropped and n < 500:
        assert challenger.ask(lambda scorer: signal) is signal
        n += 1
    assert n == answers


def test_a_challenger_that_is_too_old_or_speaks_already_says_nothing() -> None:
    old = Champion(version="v2", trained_until_us=T0 - 2 * 86_400 * SECOND)
    assert scored(Champion(), Challenger(old)).shadows == []
    assert scored(Champion(), Challenger(Champion())).shadows == []


def test_without_a_champion_the_rules_are_published_and_the_challenger_shadows_them() -> None:
    both = scored(None, Challenger(BEARISH))
    assert roles(both.signals) == {"rules"}
    assert {s.model.role for s in both.shadows} == {"challenger"}


def test_a_symbol_of_the_challengers_share_has_its_signals_published() -> None:
    everyone = policy(challenger_share=1.0)
    both = scored(Champion(), Challenger(BEARISH), everyone)
    assert roles(both.signals) == {"challenger"}
    assert {s.model.role for s in both.shadows} == {"champion"}

    failing = scored(Champion(), Challenger(Failing()), everyone)
    told = [decode(Signal, raw).model.role for raw in failing.signals]
    assert told == ["challenger"] * 3 + ["champion"] * (len(both.signals) - 3)


def test_a_larger_share_keeps_the_symbols_of_a_smaller_one() -> None:
    symbols = [f"S{i}" for i in range(2_000)]
    chosen = [
        {s for s in symbols if policy(challenger_share=share).published_by_challenger(s)}
        for share in (0.0, 0.1, 0.5, 1.0)
    ]
    assert [len(each) for each in chosen] == [
        0,
        pytest.approx(200, abs=50),
        pytest.approx(1_000, abs=80),
        2_000,
    ]
    assert chosen[0] <= chosen[1] <= chosen[2]
    assert policy(challenger_share=0.1).policy_id != policy().policy_id


def test_a_challenger_comes_and_goes_between_two_chunks() -> None:
    rules = RulesModel("intraday", FEATURES.version, FEATURES.names)
    in_force = ModelInForce(rules, Champion())
    every_tick = policy(score_every_tick=True)
    step = ScoreStep(
        HOME, N_PARTITIONS, every_tick, in_force, build="b", clock=lambda: T0, stamp_outputs=False
    )
    told = []
    for i, scorer in enumerate((BEARISH, None, None)):
        in_force.put("challenger", scorer)
        out = Outputs()
        step.apply("ticks", tick(T0 + i * SECOND), out)
        told.append((step.meta()["challenger"], len(out.of("shadow-signals"))))
        asyncio.run(step.prepare("ticks", []))
    assert told == [(None, 0), ("v2", 1), (None, 0)]
