"""Several models as one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from models.sentiment.ensemble import Ensemble
from models.sentiment.model import (
    Probabilities,
    SentimentModel,
    SentimentModelError,
    label,
    load_sentiment_model,
)
from models.sentiment.onnx import OnnxModel
from tests.unit.sentiment import tiny
from tests.unit.sentiment.articles import LEXICON

TEXTS = ["good", "apple misses the estimates and shares fall", ""]


class Fixed:
    """A model that says the same of every text."""

    version = "1"

    def __init__(self, name: str, *said: float) -> None:
        self.name = name
        self._said = Probabilities(*said)

    def probabilities(self, texts: Sequence[str]) -> list[Probabilities]:
        return [self._said for _ in texts]


@pytest.fixture
def tiny_onnx(tmp_path: Path) -> OnnxModel:
    return OnnxModel(tiny.onnx_folder(tmp_path))


def test_probabilities_are_the_weighted_mean(tiny_onnx: OnnxModel) -> None:
    found = Ensemble([(tiny_onnx, 0.7), (LEXICON, 0.3)]).probabilities(TEXTS)
    ours, theirs = tiny_onnx.probabilities(TEXTS), LEXICON.probabilities(TEXTS)
    for got, a, b in zip(found, ours, theirs, strict=True):
        assert got == pytest.approx([0.7 * x + 0.3 * y for x, y in zip(a, b, strict=True)])
        assert sum(got) == pytest.approx(1.0)


def test_no_probability_is_above_one_whatever_the_rounding() -> None:
    sure = [(Fixed(f"m{weight}", 0, 0, 1), weight) for weight in (0.3, 0.7 + 5e-10)]
    assert Ensemble(sure).probabilities(["a"]) == [(0.0, 0.0, 1.0)]


def test_name_and_version_are_made_from_its_members_and_weights(tiny_onnx: OnnxModel) -> None:
    found = Ensemble([(tiny_onnx, 0.7), (LEXICON, 0.3)])
    assert label(found) == f"tiny*0.7+lexicon*0.3-{tiny_onnx.version}+1"
    assert label(Ensemble([(tiny_onnx, 0.6), (LEXICON, 0.4)])) != label(found)


def test_a_text_that_a_member_cannot_score_cannot_be_scored(tiny_onnx: OnnxModel) -> None:
    both = Ensemble([(tiny_onnx, 0.7), (LEXICON, 0.3)])
    with pytest.raises(SentimentModelError, match="finite"):
        both.probabilities(["poison"])


@pytest.mark.parametrize(
    "members",
    [
        [],
        [(LEXICON, 1.0)],
        [(LEXICON, 0.7), (LEXICON, 0.7)],
        [(LEXICON, 1.5), (LEXICON, -0.5)],
        [(LEXICON, float("nan")), (LEXICON, 0.5)],
    ],
)
def test_members_and_weights_that_make_no_mean_are_refused(
    members: list[tuple[SentimentModel, float]],
) -> None:
    with pytest.raises(SentimentModelError, match="ensemble: expected two members or more"):
        Ensemble(members)


def test_a_name_that_no_score_has_room_for_is_refused() -> None:
    long = [(Fixed("m" * 24, 0, 1, 0), 0.25)] * 4
    with pytest.raises(SentimentModelError, match="at most 64 characters"):
        Ensemble(long)


def test_it_is_loaded_by_its_members_names(tmp_path: Path) -> None:
    folder = tiny.onnx_folder(tmp_path)
    found = load_sentiment_model("ensemble", weights={f"onnx:{folder}": 0.7, "lexicon": 0.3})
    assert found.name == "tiny*0.7+lexicon*0.3"
    with pytest.raises(SentimentModelError, match="two members or more"):
        load_sentiment_model("ensemble")
