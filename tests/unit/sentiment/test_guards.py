"""A feed or a model that breaks shows within minutes; a sound one does not."""

from __future__ import annotations

import asyncio
import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from models.sentiment.lexicon import Lexicon
from models.sentiment.model import Probabilities, SentimentModel
from models.sentiment.onnx import OnnxModel
from stream.errors import Rejected
from stream.events import NewsArticle, moment
from stream.sentiment.cache import caching
from stream.sentiment.guarded import GuardedStep, references
from stream.sentiment.guards import AT_LEAST, AT_MOST, BROKEN, KINDS, SPAN_US, Guard, Window
from stream.settings import Settings
from tests.unit.sentiment import tiny
from tests.unit.sentiment.articles import LEXICON, SECOND, T0, Brittle, Kept, article, live, record

MINUTE = 60 * SECOND
VERBS = ("beats", "misses", "raises", "cuts", "presents", "opens", "sues", "wins", "expects")
NOUNS = ("estimates", "guidance", "profit forecast", "a plant", "a contract", "its results")


@pytest.mark.parametrize("seed", range(5))
def test_a_window_is_a_plain_count_of_its_entries_at_every_moment(seed: int) -> None:
    rng = random.Random(seed)
    span, least, most = rng.choice([0, 5, 50]), rng.choice([1, 4, 9]), rng.choice([9, 20])
    window = Window(span, least, most)
    everything: list[tuple[int, tuple[str, ...], int]] = []
    at = 0
    for _ in range(300):
        at += rng.choice([0, 0, 1, 3, 40])
        kinds = tuple(kind for kind in "ab" if rng.random() < 0.5)
        everything.append((at, kinds, rng.randrange(4)))
        window.add(*everything[-1])
        recent = [entry for entry in everything if entry[0] >= at - span]
        expected = everything[-min(most, max(least, len(recent))) :]
        assert len(window) == len(expected)
        if len(expected) < least:
            assert window.share("a") is window.alike() is None
            continue
        for kind in "ab":
            n = sum(kind in kinds for _, kinds, _ in expected)
            assert window.share(kind) == n / len(expected)
        most_of = Counter(what for _, _, what in expected).most_common(1)[0][1]
        assert window.alike() == most_of / len(expected)


def test_a_time_that_goes_back_counts_as_the_latest() -> None:
    window = Window(10, 1, 100)
    for at in (100, 50, 105):
        window.add(at, (), None)
    assert len(window) == 3
    window.add(111, (), None)
    assert len(window) == 2


class Feed:
    """Articles through a guarded step, in a process' own metrics."""

    def __init__(self, model: SentimentModel = LEXICON, guard: Guard | None = None) -> None:
        self.guard = guard or Guard()
        self.step = GuardedStep(live(model), self.guard)
        self.n = 0
        self.at_us = T0

    def send(self, events: Sequence[NewsArticle]) -> None:
        """One chunk, and the checkpoint after it."""
        out = Kept()
        records = [record(each, self.n + i, self.at_us) for i, each in enumerate(events)]
        self.n += len(events)
        asyncio.run(self.step.prepare("news", records))
        for each in records:
            self.step.apply("news", each, out)
        self.step.meta()

    def sound(self, n: int, every_us: int = SECOND) -> None:
        rng = random.Random(self.n)
        events = []
        for i in range(self.n, self.n + n):
            words = f"Firm {i} {rng.choice(VERBS)} {rng.choice(NOUNS)}, profit up {i} %"
            events.append(self.article(i, every_us, headline=words, body=words))
        for first in range(0, n, 20):
            self.send(events[first : first + 20])

    def article(self, i: int, every_us: int, headline: str, **changes: object) -> NewsArticle:
        self.at_us += every_us
        at = moment(self.at_us)
        return article(f"a{i}", headline, published_at=at, received_at=at, **changes)

    def until_broken(
        self, kind: str, make: Callable[[int], dict[str, object]], every_us: int
    ) -> int:
        """Seconds of record time until the metric of `kind` shows the break."""
        began = self.at_us
        while not (share(kind) >= BROKEN):
            given: dict[str, object] = {"headline": f"Firm {self.n} wins a contract", "body": "b"}
            self.send([self.article(self.n, every_us, **{**given, **make(self.n)})])  # type: ignore[arg-type]
            assert self.at_us - began < 3600 * SECOND, kind
        return (self.at_us - began) // SECOND


def share(kind: str) -> float:
    found = REGISTRY.get_sample_value("tapewire_news_share", {"kind": kind})
    assert found is not None
    return found


BREAKS: dict[str, Callable[[int], dict[str, object]]] = {
    "no_body": lambda i: {"body": " "},
    "no_symbol": lambda i: {"symbols": ()},
    "one_headline": lambda i: {"headline": "null"},
    "neutral": lambda i: {"headline": f"Item {i}"},
    "zero": lambda i: {"headline": f"Item {i}"},
    "one_score": lambda i: {"headline": f"Item {i} wins"},
}


@pytest.mark.parametrize("kind", BREAKS)
def test_an_upstream_break_shows_within_minutes(kind: str) -> None:
    feed = Feed()
    feed.sound(600, SECOND // 2)
    assert share(kind) < BROKEN
    assert feed.until_broken(kind, BREAKS[kind], SECOND // 2) <= 3 * 60


def test_on_a_slow_feed_it_shows_within_fifty_articles() -> None:
    feed = Feed()
    feed.sound(100, MINUTE)
    assert feed.until_broken("no_body", BREAKS["no_body"], MINUTE) <= AT_LEAST * 60


def test_a_model_that_fails_on_everything_shows() -> None:
    feed = Feed(Brittle())
    feed.sound(200)
    assert share("unscored") == 0.0
    poison = feed.until_broken("unscored", lambda i: {"headline": f"poison {i}"}, SECOND)
    assert poison <= 3 * 60


def test_a_model_that_scores_all_alike_shows() -> None:
    class Flat(Lexicon):
        def probabilities(self, texts: Sequence[str]) -> list[Probabilities]:
            return [Probabilities(0.2, 0.3, 0.5)] * len(texts)

    feed = Feed(Flat())
    feed.sound(200)
    assert share("one_score") == 1.0
    assert share("neutral") == share("zero") == 0.0


def test_sound_news_break_nothing_and_too_few_say_nothing() -> None:
    feed = Feed()
    feed.sound(AT_LEAST - 1)
    assert all(math.isnan(share(kind)) for kind in KINDS)
    with capture_logs() as logs:
        feed.sound(2_500, SECOND // 20)
    assert {kind: share(kind) for kind in KINDS if share(kind) >= BROKEN} == {}
    assert logs == []


def test_a_break_is_warned_of_once_by_all_partitions_and_again_after_it_was_mended() -> None:
    guard = Guard()
    one, other = Feed(guard=guard), Feed(guard=guard)
    with capture_logs() as logs:
        one.sound(200)
        one.until_broken("no_symbol", BREAKS["no_symbol"], SECOND)
        other.at_us = one.at_us
        other.step.meta()
        assert [each["kind"] for each in logs if each["log_level"] == "warning"] == ["no_symbol"]
        one.sound(300)
        one.until_broken("no_symbol", BREAKS["no_symbol"], SECOND)
    assert [each["kind"] for each in logs if "broken" in each["event"]] == ["no_symbol"] * 2


def test_a_feed_that_never_had_bodies_is_not_warned_of() -> None:
    feed = Feed()
    with capture_logs() as logs:
        feed.send([feed.article(i, SECOND, f"Firm {i} {VERBS[i % 9]} it") for i in range(200)])
    assert share("no_body") == 1.0
    assert not [each for each in logs if each["kind"] == "no_body"]


def test_the_guard_changes_nothing_that_goes_in_or_out() -> None:
    events = [
        article("a", symbols=("AAPL", "MSFT")),
        article("a", revision=2, status="retracted", symbols=()),
        article("a", revision=2),
        article("b", "Nobody is named", symbols=()),
        article("c", " \x00 "),
    ]
    found = []
    for step in (live(), GuardedStep(live(), Guard())):
        out = Kept()
        records = [record(each, i) for i, each in enumerate(events)]
        asyncio.run(step.prepare("news", records))
        outcomes: list[object] = []
        for each in records:
            try:
                outcomes.append(step.apply("news", each, out))
            except Rejected as rejected:
                outcomes.append(str(rejected))
        found.append((outcomes, out.sent, dict(step.take_changes()), step.meta()))
    assert found[0] == found[1]


def test_drift_is_the_distance_from_training() -> None:
    class Trained(Lexicon):
        reference = Probabilities(0.2, 0.3, 0.5)

    model = Trained()
    guard = Guard(references(model, LEXICON))
    bull, bear = Probabilities(0.1, 0.2, 0.7), Probabilities(0.7, 0.2, 0.1)
    flat = Probabilities(0.1, 0.8, 0.1)
    sound = [bear] * 2 + [flat] * 3 + [bull] * 5
    for i in range(999):
        guard.score(T0 + i, "lexicon-1", sound[i % 10])
    assert guard.drift() == {}
    guard.score(T0 + 999, "lexicon-1", sound[9])
    guard.score(T0, "other-1", bull)
    assert guard.drift() == {"lexicon-1": pytest.approx(0.0, abs=1e-12)}
    for i in range(1_000):
        guard.score(T0 + i, "lexicon-1", bear)
    assert guard.drift() == {"lexicon-1": pytest.approx(0.8)}


def test_a_models_manifest_says_what_it_was_like_in_training(tmp_path: Path) -> None:
    told = OnnxModel(tiny.onnx_folder(tmp_path / "told", reference=[0.2, 0.3, 0.5]))
    silent = OnnxModel(tiny.onnx_folder(tmp_path / "silent"))
    label = f"{told.name}-{told.version}"
    assert references(told, silent) == {label: Probabilities(0.2, 0.3, 0.5)}


def test_a_model_behind_the_cache_still_tells_what_it_was_like_in_training() -> None:
    class Trained(Lexicon):
        reference = Probabilities(0.2, 0.3, 0.5)

    with caching(Settings(redis="redis://127.0.0.1:1/0")) as (wrap, _):  # type: ignore[arg-type]
        assert references(wrap(Trained())) == {"lexicon-1": Trained.reference}
        assert references(wrap(LEXICON)) == {}


def test_the_same_entries_give_the_same_shares() -> None:
    def run() -> list[dict[str, float | None]]:
        guard, found = Guard(), []
        for i in range(3 * AT_MOST):
            at = T0 + i * SPAN_US // AT_MOST
            guard.article(at, f"h{i % 7}", no_body=i % 3 == 0, no_symbol=i % 5 == 0, unscored=False)
            guard.score(at, "m-1", LEXICON.probabilities([f"up {i % 11}"])[0])
            if i % 500 == 0:
                found.append(guard.shares())
        return found

    assert run() == run()
