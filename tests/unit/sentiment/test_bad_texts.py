"""Odd texts through every model that is there: scored or neutral, never an error, mates unmoved."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.sentiment.ensemble import Ensemble
from models.sentiment.model import NEUTRAL, SentimentModel
from models.sentiment.onnx import OnnxModel
from tests.unit.sentiment import tiny
from tests.unit.sentiment.articles import LEXICON
from tests.unit.sentiment.test_transformer import WITH_TORCH

EMPTY = {"empty": "", "spaces": " \t\n"}
WORDLESS = {
    "control characters": "\x00\x07\x1b\x7f\u200b\ufeff",
    "emoji": "\U0001f680\U0001f680\U0001f469\u200d\U0001f4bb",
    "one long word": "x" * 50_000,
    "half a surrogate pair": "\ud83d",
}
ODD = {
    "10 MB": "apple beats the estimates, but shares fall " * 240_000,
    "HTML": "<p>apple <b>beats</b> &amp; misses</p><script>alert('good')</script>",
    "a long word among others": "good " + "x" * 50_000 + " bad",
    "control characters among words": "good\x00 \x07rise",
    "wrong encoding": "apple\udcff beats\ufffd",
    "right to left": "\u202egood\u202c shares",
}
NAMES = ["lexicon", "onnx", "ensemble", pytest.param("torch", marks=WITH_TORCH)]


@pytest.fixture(scope="module")
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> object:
    folder = tmp_path_factory.mktemp("model")
    return made(request.param, folder)


def made(name: str, folder: Path) -> SentimentModel:
    if name == "lexicon":
        return LEXICON
    if name == "torch":
        from models.sentiment.transformer import Transformer

        return Transformer(str(tiny.checkpoint(folder)))
    onnx = OnnxModel(tiny.onnx_folder(folder))
    return onnx if name == "onnx" else Ensemble([(onnx, 0.7), (LEXICON, 0.3)])


@pytest.mark.parametrize("model", NAMES, indirect=True)
def test_no_text_gives_no_score(model: SentimentModel) -> None:
    assert model.probabilities([]) == []


@pytest.mark.parametrize("name", EMPTY)
@pytest.mark.parametrize("model", NAMES, indirect=True)
def test_an_empty_text_is_neutral(model: SentimentModel, name: str) -> None:
    assert model.probabilities([EMPTY[name]]) == [NEUTRAL]


@pytest.mark.parametrize("name", WORDLESS)
@pytest.mark.parametrize("model", NAMES, indirect=True)
def test_a_text_without_words_is_not_called_good_or_bad(model: SentimentModel, name: str) -> None:
    (found,) = model.probabilities([WORDLESS[name]])
    assert found.neutral >= 0.9
    assert sum(found) == pytest.approx(1.0)


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("model", NAMES, indirect=True)
def test_an_odd_text_is_scored_and_moves_no_other(model: SentimentModel, name: str) -> None:
    found = model.probabilities(["good", ODD[name], "bad"])
    assert [found[0], found[2]] == model.probabilities(["good", "bad"])
    assert sum(found[1]) == pytest.approx(1.0)
    assert all(0.0 <= p <= 1.0 for p in found[1])
