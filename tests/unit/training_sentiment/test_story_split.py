"""No story lies in both parts of a split; templates never tell who is best."""

from __future__ import annotations

import random
import tracemalloc
from itertools import product

import pytest

from models.sentiment.model import Probabilities
from training.sentiment.labelled import Labelled
from training.sentiment.split import split, stories
from training.sentiment.templates import PATTERNS, sentences

_WORDS = ["".join(letters) for letters in product("bcdfgklm", "aeiou", "nprst", "aou")]


def story(rng: random.Random) -> str:
    return " ".join(rng.sample(_WORDS, 12))


def row(text: str, label: int, source: str = "s") -> Labelled:
    return Labelled(text, Probabilities(*(float(label == i) for i in range(3))), 1.0, source)


def rewrites(text: str, rng: random.Random) -> list[str]:
    return [text, f"$AAPL {text}", text.upper(), f"{text} 3.5%", text.rsplit(" ", 1)[0]]


@pytest.fixture
def rows() -> list[Labelled]:
    rng = random.Random(3)
    found = [row(each, i % 3) for i in range(200) for each in rewrites(story(rng), rng)]
    rng.shuffle(found)
    return found


def test_rewrites_are_one_story_and_strangers_are_not() -> None:
    rng = random.Random(1)
    told = [rewrites(story(rng), rng) for _ in range(50)]
    groups = stories([text for each in told for text in each]).reshape(50, 5)
    assert (groups == groups[:, :1]).all()
    assert len(set(groups[:, 0])) == 50


def test_no_story_is_in_both_parts(rows: list[Labelled]) -> None:
    learn, choose = split(rows, seed=1)
    assert sorted([*learn, *choose]) == list(range(len(rows)))
    assert 0.1 < len(choose) / len(rows) < 0.2
    groups = stories([each.text for each in rows])
    assert not {groups[i] for i in learn} & {groups[i] for i in choose}
    assert {rows[i].label for i in choose} == {0, 1, 2}
    assert split(rows, seed=1) == (learn, choose) != split(rows, seed=2)


def test_what_is_only_learnt_from_leaves_out_the_held_stories(rows: list[Labelled]) -> None:
    copies = [row(f"{each.text} again", 1, "more") for each in rows[:300]]
    learn, choose = split([*rows, *copies], seed=1, only=len(rows))
    assert choose == split(rows, seed=1)[1]
    kept = sum(i >= len(rows) for i in learn)
    assert 200 < kept < 300
    groups = stories([each.text for each in [*rows, *copies]])
    assert not {groups[i] for i in learn} & {groups[i] for i in choose}


def test_many_texts_that_share_a_word_need_little_memory() -> None:
    rng = random.Random(2)
    n = 4_000
    texts = [f"$AAPL {' '.join(rng.sample(_WORDS, 6))}" for _ in range(n)]
    tracemalloc.start()
    try:
        assert len(set(stories([*texts, *texts[:100]]).tolist())) == n
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < n * n  # one byte a pair: as a matrix it would be twelve


def test_templates_are_seeded_balanced_and_filled() -> None:
    made = list(sentences(seed=4))
    assert made == list(sentences(seed=4)) != list(sentences(seed=5))
    assert len({each.text for each in made}) == len(made) > 1_000
    assert not any("{" in each.text for each in made)
    shares = [sum(each.label == label for each in made) / len(made) for label in range(3)]
    assert min(shares) > 0.25
    assert len({pattern for kind in PATTERNS for pattern in kind}) == sum(map(len, PATTERNS))
