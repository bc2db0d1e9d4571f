"""A rewrite of a text is told by it, another story is not: measured on generated headlines."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.events import SKETCH_FACTS, SKETCH_WORDS
from stream.features.stories import REPRINT, text_of
from stream.features.stories import told_share as told_share_of
from stream.sentiment.sketch import sketch
from tests.unit.sentiment.rewrites import BODY, REWRITES, TEMPLATES, headlines, rewritten

N = 256
SENTENCE = "Apple beats quarterly estimates, raises full-year outlook to $12.5 billion"


def told_share(new: bytes, by: bytes) -> float:
    return told_share_of(text_of(new), text_of(by))


def is_reprint(new: str, old: str) -> bool:
    return told_share(sketch(new), sketch(old)) >= REPRINT


class Count(NamedTuple):
    """Of rewrites and hard negatives, by kind: how many there are, how many pass for re-prints."""

    rewrites: Counter[str]
    found: Counter[str]
    negatives: Counter[str]
    confused: Counter[str]

    @property
    def recall(self) -> float:
        return self.found.total() / self.rewrites.total()

    @property
    def precision(self) -> float:
        return self.found.total() / (self.found + self.confused).total()


def counted(seed: int, body: str = "", without: str = "") -> Count:
    rng, count = random.Random(seed), Count(Counter(), Counter(), Counter(), Counter())
    for base in headlines(seed, N):
        ways = [(way.__name__, way(rng, base.text)) for way in REWRITES]
        ways += [(f"{n} ways", rewritten(rng, base.text, n)) for n in (2, 3, 4)]
        for name, text in ways:
            count.rewrites[name] += 1
            count.found[name] += is_reprint(text + body, base.text + body)
        for fact, text in base.negatives.items():
            if fact != without:
                count.negatives[fact] += 1
                count.confused[fact] += is_reprint(text + body, base.text + body)
    assert count.rewrites.total() == 11 * N
    assert count.negatives.total() >= 2 * N
    return count


@pytest.mark.parametrize("seed", [101, 102])
def test_rewritten_headlines_are_found_and_other_stories_are_not(seed: int) -> None:
    count = counted(seed)
    assert count.recall >= 0.95
    assert count.precision >= 0.95
    assert all(count.found[way] >= 0.95 * n for way, n in count.rewrites.items()), count
    assert count.confused.total() <= 0.05 * count.negatives.total(), count


def test_rewritten_articles_are_found_and_other_stories_of_the_company_are_not() -> None:
    """Under one body another name is too small a part; but only a symbol's own are compared."""
    count = counted(103, body=BODY, without="co")
    assert count.recall >= 0.95
    assert count.precision >= 0.95
    assert count.confused.total() <= 0.05 * count.negatives.total(), count


def test_the_generator_changes_what_it_says_it_changes() -> None:
    rng = random.Random(7)
    for base in headlines(7, 2 * len(TEMPLATES)):
        assert len(base.negatives) >= 2
        assert all(each != base.text for each in base.negatives.values())
        changed = [way(rng, base.text) for way in REWRITES]
        assert sum(each != base.text for each in changed) >= 5


def test_headlines_about_one_company_are_no_reprints_of_each_other() -> None:
    texts = [each.text.replace("{co}", "Apple") for each in headlines(3, len(TEMPLATES))]
    pairs = [(a, b) for a in texts for b in texts if a != b]
    assert len(pairs) > 900
    assert [pair for pair in pairs if is_reprint(*pair)] == []


@pytest.mark.parametrize(
    ("new", "share"),
    [
        ("Apple beats quarterly estimates", 1.0),
        (f"{SENTENCE} - Reuters", 1.0),
        (f"RT @wire: {SENTENCE} https://t.co/x", 1.0),
        ("APPLE Inc. beats quarterly estimates; raises full-year outlook to $12.5bn", 1.0),
    ],
)
def test_what_adds_nothing_was_told(new: str, share: float) -> None:
    assert told_share(sketch(new), sketch(SENTENCE)) == share


@pytest.mark.parametrize(
    "new",
    [
        SENTENCE.replace("beats", "misses"),
        SENTENCE.replace("raises", "cuts"),
        SENTENCE.replace("12.5", "11.5"),
        SENTENCE.replace("billion", "million"),
        f"{SENTENCE} and names Jane Doe as its next chief executive",
        SENTENCE + ", a -3% change",
    ],
)
def test_another_fact_is_news(new: str) -> None:
    assert told_share(sketch(new), sketch(SENTENCE)) < REPRINT


def test_the_article_after_its_headline_is_news_and_the_headline_after_it_is_not() -> None:
    article = sketch(f"{SENTENCE}.{BODY}")
    assert told_share(article, sketch(SENTENCE)) < 0.6
    assert told_share(sketch(SENTENCE), article) >= REPRINT


def test_a_negative_number_is_another_fact() -> None:
    assert not is_reprint("Apple EPS of -$0.10", "Apple EPS of $0.10")


def test_a_text_without_words_is_only_its_own_reprint() -> None:
    assert is_reprint("🚀🚀 🌕", "🚀🚀 🌕")
    assert not is_reprint("🚀🚀 🌕", "💀 🌊")
    assert sketch("") == sketch("  ") == b""


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=400))
def test_any_text_has_a_sketch_of_its_size_that_tells_itself(text: str) -> None:
    own = sketch(text)
    if own:
        assert len(own) == SKETCH_WORDS + SKETCH_FACTS
        assert told_share(own, own) == 1.0
    else:
        assert not text.split()


@pytest.mark.parametrize(
    "text",
    ["a" * 2_000, "#a " * 600, "- " * 1_000, "1," * 1_000, "via " * 500, "." * 2_000, "( " * 1_000],
)
def test_hostile_texts_have_a_sketch(text: str) -> None:
    assert len(sketch(text)) == SKETCH_WORDS + SKETCH_FACTS


def test_the_sketch_is_the_same_in_every_process() -> None:
    code = f"from stream.sentiment.sketch import sketch; print(sketch({SENTENCE!r}).hex())"
    for seed in ("1", "2"):
        run = subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert run.stdout.strip() == sketch(SENTENCE).hex()
