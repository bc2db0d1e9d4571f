"""The sector's code is a category where it is split on, and nowhere a number."""

from __future__ import annotations

from math import log

import lightgbm
import msgspec
import numpy as np
import pytest

from models.artifact import Calibration
from models.explain import Explainer
from models.lightgbm_row import RowModel
from models.pool import Pool
from models.row import Row
from models.scorer import ArtifactScorer
from stream.features.sector import SECTOR
from tests.unit.training.sectors import N_MOVES, NAMES, NEVER, make_sectors
from training.gates import Gates
from training.learners.learner import Block
from training.learners.lightgbm import LightGBM
from training.learners.named import learner
from training.learners.recipe import Recipe
from training.quality import NewsFacts, quality
from training.train import train_model

# 3 and 7 lie between others of the other sign: a tree that took codes for numbers needs two splits.
SIGNS = {1.0: 0.4, 3.0: -0.4, 5.0: 0.4, 7.0: -0.4, 40.0: 0.4, NEVER: 0.0}
CODES = [*SIGNS, 2.0, 63.0, 1e6, -1.0]  # also such as were never seen


def block(n: int, seed: int) -> Block:
    rows = make_sectors(SIGNS, n, seed)
    return Block(rows.x, rows.y, 1e4 * rows.forward_return, np.ones(n))


FIT, TUNE = block(4_000, 0), block(1_500, 1)
N = len(NAMES)


@pytest.fixture(scope="module")
def members():
    return LightGBM(feature_share=1.0).fit(FIT, TUNE, NAMES, 0, 1)


def in_every_sector(n: int = 40) -> np.ndarray:
    draw = np.random.default_rng(5)
    x = np.repeat(draw.normal(size=(n, N)), len(CODES), axis=0)
    x[:, -1] = np.tile(CODES, n)
    return x


def test_categories_are_served_as_lightgbm_predicts(members) -> None:
    x = in_every_sector()
    for member, n_outputs in zip(members, (3, 1), strict=True):
        assert any(line.startswith("num_cat=1") for line in member.text.splitlines())
        told = lightgbm.Booster(model_str=member.text).predict(x, raw_score=True)
        model = RowModel(member.text, N, n_outputs)
        assert (model.many(x) == told.reshape(len(x), n_outputs)).all()
        assert [model.raw(Row.of(row)) for row in x.tolist()] == model.many(x).tolist()


def test_each_sector_has_its_own_sign(members) -> None:
    model = Pool(members[1:], N, 1)
    up, down = (
        model.many(np.array([[move] * N_MOVES + [code] for code in SIGNS]))[:, 0]
        for move in (1.0, -1.0)
    )
    assert np.sign(up - down)[:5].tolist() == [1, -1, 1, -1, 1]


def test_a_sector_that_was_never_seen_counts_as_an_unknown_one(members) -> None:
    model = Pool(members[:1], N, 3)
    x = np.array([[0.7] * N_MOVES + [code] for code in CODES[5:]])
    assert (model.many(x) == model.many(x[:1])).all()


def test_contributions_of_categories_sum_to_the_log_odds() -> None:
    artifact = train_model(make_sectors(SIGNS), seed=0, num_threads=1).artifact
    plain = Calibration(scale=1.0, offsets=(0.0, 0.0, 0.0))
    artifact = msgspec.structs.replace(artifact, calibration=plain)
    scorer, explainer = ArtifactScorer(artifact), Explainer(artifact)
    for row in in_every_sector(3):
        vector = [None if np.isnan(v) else float(v) for v in row]
        score, found = scorer.score(vector), explainer.explain(vector)
        assert found.log_odds == pytest.approx(log(score.bullish / score.bearish), abs=1e-9)
        assert SECTOR in {each.feature for each in found.contributions if each.log_odds != 0.0}


@pytest.mark.parametrize("name", ["xgboost", "forest", "boosting", "linear"])
def test_other_learners_do_not_see_the_code(name: str) -> None:
    members = learner(name).fit(FIT, TUNE, NAMES, 0, 1)
    blind = TUNE.x.copy()
    blind[:, -1] = np.nan
    for member, n_outputs in zip(members, (3, 1), strict=True):
        model = Pool([member], N, n_outputs)
        assert (model.many(TUNE.x) == model.many(blind)).all()


def test_selection_of_features_splits_codes_by_value() -> None:
    draw = np.random.default_rng(0)
    x = FIT.x.copy()
    x[:, -1] = draw.permutation(64)[draw.integers(0, 64, len(x))]
    odd = np.isin(x[:, -1], np.arange(1, 64, 2))  # no threshold parts odd from even
    bps = np.where(odd, 10.0, -10.0) + 5.0 * draw.normal(size=len(x))
    rows = Block(x, np.digitize(bps, (-5.0, 5.0)), bps, FIT.weight)
    members = Recipe(LightGBM()).changed({"keep": 1 / N}).fit(rows, rows, NAMES, 0, 1)
    asked = np.column_stack([np.zeros((64, N_MOVES)), np.arange(64)])
    sides = Pool(members[1:], N, 1).many(asked)
    assert np.corrcoef(sides[:, 0], np.arange(64) % 2)[0, 1] > 0.9


def test_codes_lie_in_no_range_and_at_no_distance() -> None:
    scorer = ArtifactScorer(
        train_model(make_sectors({1.0: 0.5, 2.0: 0.5}), seed=0, num_threads=1).artifact
    )
    index = scorer._dissimilarity
    assert index is not None
    moves = (0.1,) * N_MOVES
    usual, other, unknown = (index.row(Row.of((*moves, code))) for code in (1.0, 63.0, None))
    assert usual == other == unknown
    assert not scorer.unlike((*moves, 63.0))


def test_a_market_of_one_sector_is_no_broken_input() -> None:
    rows = make_sectors({4.0: 0.5})
    checks = quality(rows, NewsFacts(), (), None, Gates())
    assert {each.name: each.says for each in checks}["data: constant features"] == "PASS"
