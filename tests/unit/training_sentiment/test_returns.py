"""A text model of returns: it learns what words move prices, and nothing where they do not."""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

if find_spec("torch") is None and "CI" not in os.environ:
    pytest.skip("torch is not installed (pip install '.[torch]')", allow_module_level=True)

import torch

from models.sentiment.lexicon import Lexicon
from models.sentiment.manifest import read_manifest
from models.sentiment.model import SECTIONS
from models.sentiment.onnx import OnnxModel
from stream.sentiment.choice import choose
from stream.sentiment.sections import sectioned
from stream.settings import Settings
from tests.unit.sentiment.articles import live, scores
from tests.unit.training_sentiment.moved import make_reactions, shuffled
from tests.unit.training_sentiment.tiny import make_encoder
from training.errors import TrainingRefused
from training.gates import Gates
from training.sentiment.reactions import Reactions
from training.sentiment.recipe import Recipe
from training.sentiment.returns import Learnt, train_on_returns
from training.sentiment.rivals import said
from training.splits import SplitRule

GATES = Gates(min_rows=500, min_judged=100, min_sessions=20)
SPLIT = SplitRule(n_folds=1, tune=0.2, choose=0.0, judge=0.3)
FOUND = make_reactions()


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return make_encoder(tmp_path_factory.mktemp("encoder"), positions=512)


def trained(
    found: Reactions, encoder: Path, folder: Path, gates: Gates = GATES, **changes: int
) -> Learnt:
    recipe = Recipe(str(encoder), epochs=4, rate=3e-3, max_tokens=512, odds=True)
    recipe = recipe._replace(**changes)  # type: ignore[arg-type]
    return train_on_returns(
        found, recipe, folder, name="tiny", command="a test", gates=gates, split=SPLIT,
        accepted="planted", rivals=[Lexicon()],
    )  # fmt: skip


@pytest.fixture(scope="module")
def learnt(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Learnt, Path]:
    folder = tmp_path_factory.mktemp("learnt") / "m"
    return trained(FOUND, encoder, folder), folder


def test_it_learns_which_words_move_prices(learnt: tuple[Learnt, Path]) -> None:
    found, folder = learnt
    assert found.verdict.says == "PASS"
    assert found.metrics["daily_ic"] > 0.4  # type: ignore[operator]
    assert "foresees returns better" in (folder / "card.md").read_text()
    own, lexicon = found.rivals
    assert own.ic.mean == 0.0  # it said 0 of everything
    assert lexicon.name == "lexicon-1"
    assert lexicon.ahead.low > 0.2  # type: ignore[operator]


def test_what_is_judged_is_what_the_role_says_with_the_folder(
    learnt: tuple[Learnt, Path],
) -> None:
    found, folder = learnt
    judge = choose(Settings(sentiment_model=f"onnx:{folder}", sentiment_missing="stop"))
    for i in (0, 7, -1):
        at = int(found.judged.row[i])
        (sent,) = scores(live(judge=judge), FOUND.articles[at])
        assert sent.symbol == FOUND.rows.symbol[at]
        assert (sent.negative, sent.neutral, sent.positive) == tuple(found.judged.p[i])
        text = sectioned(FOUND.articles[at], sent.symbol)
        assert (sent.negative, sent.neutral, sent.positive) == OnnxModel(folder).probabilities(
            [text]
        )[0]


def test_the_manifest_says_how_texts_are_put_and_what_the_gates_said(
    learnt: tuple[Learnt, Path],
) -> None:
    manifest = read_manifest(learnt[1])
    assert (manifest.template, manifest.max_tokens, manifest.doubt) == (SECTIONS, 512, "")
    assert manifest.metrics["verdict"] == "PASS"
    assert set(manifest.made_from) == {"model.safetensors", "stored articles and prices"}
    json.loads((learnt[1] / "manifest.json").read_text())


def test_returns_of_other_articles_teach_nothing_and_such_a_model_may_not_serve(
    encoder: Path, tmp_path: Path
) -> None:
    lenient = Gates(**{**_fields(GATES), "max_bias": 9.0, "max_up_share": 1.0, "min_spread": 0.0})
    folder = tmp_path / "m"
    found = trained(shuffled(FOUND), encoder, folder, lenient)
    assert found.verdict.says == "WARN"
    assert abs(found.metrics["daily_ic_t"]) < 3.0  # type: ignore[arg-type]
    assert "Nothing sure is gained" in found.card
    assert "log-loss gained on climatology" in read_manifest(folder).doubt
    assert choose(Settings(sentiment_model=f"onnx:{folder}")).name == "lexicon-1"


def test_what_the_gates_fail_is_not_written(encoder: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingRefused, match="judged rows: expected at least 1000, got 2"):
        trained(FOUND, encoder, tmp_path / "m", Gates(min_rows=500, min_judged=1_000), epochs=1)
    assert list(tmp_path.iterdir()) == []


def test_too_few_articles_are_refused_before_anything_is_tuned(
    encoder: Path, tmp_path: Path
) -> None:
    with pytest.raises(TrainingRefused, match=r"at least 1,000 articles .*800 .*3 unmatured"):
        trained(FOUND, encoder, tmp_path / "m", Gates())


def test_a_base_without_room_for_the_tokens_is_refused(encoder: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingRefused, match="expected room for 1024 tokens, got 512"):
        trained(FOUND, encoder, tmp_path / "m", max_tokens=1024)


def test_scores_of_a_rival_are_those_that_the_role_gives() -> None:
    rows = np.array([3, 4])
    p = said(Lexicon(), FOUND, rows)
    sent = scores(live(), *(FOUND.articles[i] for i in rows))
    assert [(s.negative, s.neutral, s.positive) for s in sent] == [tuple(each) for each in p]


def _fields(gates: Gates) -> dict[str, float]:
    return {name: getattr(gates, name) for name in gates.__struct_fields__}
