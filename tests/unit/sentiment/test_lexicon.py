"""The lexicon model: probabilities, direction, and independence of batch-mates."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.sentiment.model import NEUTRAL, SentimentModelError, load_sentiment_model
from tests.unit.sentiment.articles import LEXICON

GOOD = [
    "Apple beats estimates as profit surges to a record",
    "Analysts upgrade Boeing after strong growth",
    "Pfizer wins approval, shares jump",
    "Company raises outlook and announces buyback",
    "Price target raised at Morgan Stanley",
]
BAD = [
    "Apple misses estimates as losses widen",
    "Analysts downgrade Boeing after profit shortfall",
    "Pfizer faces lawsuit and fraud probe, shares plunge",
    "Company cuts outlook, warns of weak demand",
    "Stock falls below its lowest level in years",
]
PLAIN = [
    "Company to present at an industry conference",
    "Board names a new member",
    "Quarterly report published on Tuesday",
]


@pytest.mark.parametrize("text", GOOD)
def test_good_news_is_positive(text: str) -> None:
    (found,) = LEXICON.probabilities([text])
    assert found.positive > found.neutral > found.negative or found.positive > 0.5


@pytest.mark.parametrize("text", BAD)
def test_bad_news_is_negative(text: str) -> None:
    (found,) = LEXICON.probabilities([text])
    assert found.negative > found.positive
    assert found.negative > 0.5


@pytest.mark.parametrize("text", PLAIN)
def test_plain_news_is_neutral(text: str) -> None:
    (found,) = LEXICON.probabilities([text])
    assert found.neutral > 0.8
    assert found.positive == found.negative


def test_words_that_mean_nothing_in_finance_do_not_count() -> None:
    (found,) = LEXICON.probabilities(["Crude call and put interest in United shares"])
    assert found.positive == found.negative


def test_stronger_words_are_less_neutral() -> None:
    mild, strong = LEXICON.probabilities(["Shares rise", "Shares surge to record highs, bullish"])
    assert mild.neutral > strong.neutral
    assert mild.positive < strong.positive


@given(st.lists(st.text(max_size=80), max_size=6))
@settings(max_examples=200, deadline=None)
def test_probabilities_sum_to_one_whatever_the_text(texts: list[str]) -> None:
    found = LEXICON.probabilities(texts)
    assert len(found) == len(texts)
    for one in found:
        assert all(0.0 <= p <= 1.0 for p in one)
        assert sum(one) == pytest.approx(1.0, abs=1e-12)


@given(st.permutations(GOOD + BAD + PLAIN))
def test_a_score_does_not_depend_on_the_texts_beside_it(texts: list[str]) -> None:
    alone = [LEXICON.probabilities([text])[0] for text in texts]
    assert LEXICON.probabilities(texts) == alone


@pytest.mark.parametrize("text", ["", "   ", "\n\t"])
def test_an_empty_text_is_neutral(text: str) -> None:
    assert LEXICON.probabilities([text]) == [NEUTRAL]


@pytest.mark.parametrize("text", ["\U0001f680\U0001f680", "x" * 50_000, "!?" * 999, "\x00\x07"])
def test_odd_texts_are_scored(text: str) -> None:
    (found,) = LEXICON.probabilities([text])
    assert sum(found) == pytest.approx(1.0)


def test_no_text_gives_no_score() -> None:
    assert LEXICON.probabilities([]) == []


def test_a_model_is_chosen_by_name() -> None:
    model = load_sentiment_model("lexicon")
    assert (model.name, model.version) == ("lexicon", "1")
    with pytest.raises(SentimentModelError, match=r"expected lexicon, .* got 'bert'"):
        load_sentiment_model("bert")


def test_the_models_need_nothing_of_stream_or_training() -> None:
    code = (
        "import sys, models.sentiment.lexicon\n"
        "print([m for m in sys.modules if m.split('.')[0] in"
        " ('stream', 'training', 'torch', 'transformers', 'onnxruntime', 'tokenizers')])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
