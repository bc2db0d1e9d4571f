"""One line for all text work: fresh first, then first come, a slice at a time; nothing is lost."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from typing import Any

import pytest

from models.sentiment.model import Probabilities
from stream.events import moment
from stream.sentiment.agent import sentiment_step
from stream.sentiment.choice import choose
from stream.sentiment.judge import Judge
from stream.sentiment.turns import Dropped, Turns
from stream.settings import read_settings
from tests.unit.sentiment.articles import LEXICON, SECOND, T0, article, live, record, scores

TEXTS = [f"Apple beats estimates by {n} cents" for n in range(40)]


class Ticking:
    """A clock that passes as texts are scored."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Slow:
    """The lexicon at `text_s` a text; it keeps its slices, and stops where it is told to."""

    name = "slow"
    version = "1"

    def __init__(self, clock: Ticking, text_s: float = 0.001) -> None:
        self.slices: list[list[str]] = []
        self.clock, self.text_s = clock, text_s
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.has_begun = threading.Event()
        self.threads: set[str] = set()

    def probabilities(self, texts: Sequence[str]) -> list[Probabilities]:
        self.slices.append(list(texts))
        self.threads.add(threading.current_thread().name)
        self.clock.now += self.text_s * len(texts)
        self.has_begun.set()
        assert self.may_go_on.wait(30)
        if any("poison" in text for text in texts):
            raise RuntimeError("no such token")
        return LEXICON.probabilities(texts)


def until_in_line(turns: Turns, n: int) -> None:
    while len(turns._line) < n:
        time.sleep(0.001)


def scored(model: Slow, turns: Turns, texts: Sequence[str]) -> list[Probabilities]:
    return turns.wrap(model).probabilities(texts)


@pytest.mark.parametrize(("text_s", "most"), [(0.0001, 51), (0.001, 6), (0.004, 2), (0.2, 1)])
def test_a_slice_has_about_as_many_texts_as_fit(text_s: float, most: int) -> None:
    clock = Ticking()
    model = Slow(clock, text_s)
    texts = TEXTS * 5
    with Turns(clock=clock) as turns:
        assert scored(model, turns, texts) == LEXICON.probabilities(texts)
    sizes = [len(each) for each in model.slices]
    assert sizes[0] == 1  # nothing is known yet
    assert max(sizes) == most
    assert [text for each in model.slices for text in each] == texts
    assert model.threads == {"sentiment-work"}


def test_a_fresh_headline_waits_for_one_slice_of_what_is_caught_up_on() -> None:
    clock = Ticking()
    model = Slow(clock, 0.2)

    async def two_partitions(turns: Turns) -> None:
        old = turns.run(lambda: scored(model, turns, TEXTS), fresh=False)
        older = turns.run(lambda: scored(model, turns, ["older"]), fresh=False)
        model.may_go_on.clear()
        behind = asyncio.create_task(old)
        await asyncio.to_thread(model.has_begun.wait)
        also_behind = asyncio.create_task(older)
        await asyncio.to_thread(until_in_line, turns, 1)
        fresh = asyncio.create_task(turns.run(lambda: scored(model, turns, ["fresh"]), fresh=True))
        await asyncio.to_thread(until_in_line, turns, 2)
        model.may_go_on.set()
        assert await fresh == LEXICON.probabilities(["fresh"])
        assert await behind == LEXICON.probabilities(TEXTS)
        assert await also_behind == LEXICON.probabilities(["older"])

    with Turns(clock=clock) as turns:
        asyncio.run(two_partitions(turns))
    assert model.slices[:3] == [[TEXTS[0]], ["fresh"], [TEXTS[1]]]
    assert model.slices[-1] == ["older"]  # first come, first served
    assert len(model.slices) == len(TEXTS) + 2


def test_work_that_nobody_waits_for_any_more_is_dropped() -> None:
    clock = Ticking()
    model = Slow(clock, 0.2)

    async def cancelled(turns: Turns) -> None:
        model.may_go_on.clear()
        task = asyncio.create_task(turns.run(lambda: scored(model, turns, TEXTS), fresh=False))
        await asyncio.to_thread(model.has_begun.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        model.may_go_on.set()
        await turns.run(lambda: scored(model, turns, ["next"]), fresh=False)

    with Turns(clock=clock) as turns:
        asyncio.run(cancelled(turns))
    assert model.slices == [[TEXTS[0]], ["next"]]


def test_what_is_dropped_is_no_failure_of_the_model() -> None:
    clock = Ticking()
    model = Slow(clock)
    turns = Turns(clock=clock)
    judge = Judge(turns.wrap(model), fallback=LEXICON)
    turns.close()
    with pytest.raises(Dropped):
        judge.judge("slow-1", ["text"])
    assert model.slices == []


def test_one_bad_text_costs_no_other_and_the_thread_goes_on() -> None:
    clock = Ticking()
    model = Slow(clock)
    with Turns(clock=clock) as turns:
        judge = Judge(turns.wrap(model), fallback=turns.wrap(LEXICON))
        found = judge.judge("slow-1", [*TEXTS, "poison"])
        again = judge.judge("slow-1", ["good"])
    assert [each.model for each in found] == ["slow-1"] * len(TEXTS) + ["lexicon-1"]
    assert again[0].model == "slow-1"


def test_a_model_that_gives_too_few_results_is_not_asked_for_ever() -> None:
    with Turns() as turns, pytest.raises(ValueError, match="expected 1 results, got 0"):
        turns.map("short", lambda texts: [], ["a", "b"])


def test_scores_in_line_are_those_at_once_and_off_the_event_loop() -> None:
    clock = Ticking()
    events = [article(f"a{n}", text, body="Pfizer fell.") for n, text in enumerate(TEXTS)]
    plain = [each.positive for each in scores(live(), *events)]
    model = Slow(clock)
    with Turns(clock=clock) as turns:
        step = live(turns.wrap(model), turns=turns)
        assert [each.positive for each in scores(step, *events)] == plain
        assert model.threads == {"sentiment-work"}
        n_slices = len(model.slices)
        scores(step, article("b", "Other words"))
        assert len(model.slices) == n_slices + 1


class Asked(Turns):
    """Keeps whether chunks were fresh."""

    def __init__(self) -> None:
        super().__init__()
        self.fresh: list[bool] = []

    async def run(self, call: Any, *, fresh: bool) -> Any:
        self.fresh.append(fresh)
        return await super().run(call, fresh=fresh)


def test_a_chunk_is_fresh_if_all_of_it_came_just_now_and_never_in_a_replay() -> None:
    ages_s = [[0], [9], [12], [0, 3600], [3600, 0]]
    with Asked() as turns:
        judge = Judge(LEXICON)
        replayed = sentiment_step(read_settings(mode="replay"), judge, live=False, turns=turns)
        for step in (live(clock_us=T0, turns=turns), replayed):
            for ages in ages_s:
                ats = [T0 - age * SECOND for age in ages]
                made = [
                    record(article(f"a{n}", received_at=moment(at)), n) for n, at in enumerate(ats)
                ]
                asyncio.run(step.prepare("news", made))
        assert turns.fresh == [True, True, False, False, False] + [False] * 5


def test_the_models_that_are_chosen_score_in_the_line() -> None:
    with Turns() as turns:
        judge = choose(read_settings(sentiment_model="lexicon"), turns=turns)
        assert judge.name == "lexicon-1"
        assert judge.judge("lexicon-1", TEXTS)[3].score == LEXICON.probabilities(TEXTS)[3]
        assert turns._item_s["lexicon-1"] > 0.0
