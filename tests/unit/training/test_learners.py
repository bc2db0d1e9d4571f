"""Learners: what an artifact serves is what the library predicts, missing values included."""

from __future__ import annotations

import functools
import json

import msgspec
import numpy as np
import pytest
import xgboost
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from threadpoolctl import threadpool_limits

from models.lightgbm_row import RowModel
from models.pool import Pool
from models.row import Row
from tests.unit.training.planted import LEARNERS, NAMES, hard_rows, make_block
from training.errors import TrainingRefused
from training.learners import boosting, forest
from training.learners import xgboost as boosted
from training.learners.learner import check_losses
from training.learners.lightgbm import LightGBM
from training.learners.linear import Linear
from training.learners.named import learner
from training.learners.recipe import Recipe, chosen
from training.learners.trees import lightgbm_text

FIT, TUNE = make_block(900), make_block(300, seed=1)


def fresh(name, **parameters):
    return Recipe(learner(name)).changed(parameters).fit(FIT, TUNE, NAMES, 3, 1)


fitted = functools.cache(fresh)


def pool(members, role):
    return Pool(
        [each for each in members if each.role == role], len(NAMES), 3 if role == "direction" else 1
    )


def served(trees, n_outputs, x):
    """Row by row through the text, as a worker would."""
    model = RowModel(lightgbm_text(trees, n_outputs, NAMES), len(NAMES), n_outputs)
    rows = np.array([model.raw(Row.of(row)) for row in x])
    assert (rows == model.many(x)).all()
    return rows


def splits(trees):
    found = np.concatenate([tree.threshold[tree.left >= 0] for tree in trees])
    return found[np.isfinite(found)]  # an infinite one parts missing values from all others


@pytest.mark.parametrize("n_outputs", [3, 1])
def test_xgboost_is_served_as_trained(n_outputs):
    kind = {"objective": "multi:softprob", "num_class": 3} if n_outputs == 3 else {}
    data = xgboost.DMatrix(FIT.x, FIT.y if n_outputs == 3 else FIT.outcome, weight=FIT.weight)
    margin = {"base_score": 0.0, "tree_method": "hist", "max_depth": 5, "nthread": 1}
    model = xgboost.train({**kind, **margin}, data, 25)
    trees = boosted.trees(model)
    x = hard_rows(splits(trees))
    told = model.predict(xgboost.DMatrix(x), output_margin=True).reshape(len(x), n_outputs)
    np.testing.assert_allclose(served(trees, n_outputs, x), told, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "n_outputs"), [(RandomForestClassifier, 3), (RandomForestRegressor, 1)]
)
def test_forest_is_served_as_trained(make, n_outputs):
    target = FIT.y if n_outputs == 3 else FIT.outcome
    model = make(20, max_depth=7, max_features=0.5, random_state=0).fit(FIT.x, target, FIT.weight)
    trees = forest.trees(model, n_outputs)
    x = hard_rows(splits(trees))
    told = model.predict_proba(x) if n_outputs == 3 else model.predict(x)[:, None]
    np.testing.assert_allclose(served(trees, n_outputs, x), told, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("make", "n_outputs"),
    [(HistGradientBoostingClassifier, 3), (HistGradientBoostingRegressor, 1)],
)
def test_boosting_is_served_as_trained(make, n_outputs):
    target = FIT.y if n_outputs == 3 else FIT.outcome
    columns = np.array([0, 1, 2, 3, 4])
    with threadpool_limits(1):
        model = make(max_iter=15).fit(FIT.x[:, columns], target, FIT.weight)
    trees = boosting.trees(model._predictors, columns)
    x = hard_rows(splits(trees))
    seen = x[:, columns]
    told = model.decision_function(seen) if n_outputs == 3 else model.predict(seen)[:, None]
    raw = served(trees, n_outputs, x) + np.ravel(model._baseline_prediction)
    np.testing.assert_allclose(raw, told, rtol=1e-12, atol=1e-9)


def test_linear_is_served_as_scikit_learn_predicts_on_ranks():
    members = Linear().fit(FIT, TUNE, NAMES, 0, 1)
    line = json.loads(members[0].text)
    ranked = [
        np.interp(column, at, level) if at else np.zeros(len(column))
        for column, at, level in zip(FIT.x.T, line["knots"], line["levels"], strict=True)
    ]
    ranks = np.nan_to_num(np.column_stack(ranked))
    penalty = Linear().shrinkage * FIT.weight.sum()
    direction = LogisticRegression(C=1 / penalty, max_iter=200, tol=1e-5)
    told = direction.fit(ranks, FIT.y, FIT.weight).decision_function(ranks)
    np.testing.assert_allclose(pool(members, "direction").many(FIT.x), told, atol=1e-6)
    told = Ridge(alpha=penalty).fit(ranks, FIT.outcome, FIT.weight).predict(ranks)
    np.testing.assert_allclose(pool(members, "return").many(FIT.x)[:, 0], told, atol=1e-6)


@pytest.mark.parametrize("name", [*LEARNERS, "lightgbm+linear"])
def test_every_learner_learns_and_serves_rows_as_tables(name):
    members = fitted(name)
    x = np.concatenate([TUNE.x, hard_rows(np.linspace(-2, 2, 99), n=100)])
    for role in ("direction", "return"):
        served = pool(members, role)
        rows = np.array([served.raw(Row.of(row)) for row in x])
        np.testing.assert_allclose(rows, served.many(x), rtol=1e-9, atol=1e-9)
        assert np.isfinite(rows).all()
    assert np.corrcoef(pool(members, "return").many(TUNE.x)[:, 0], TUNE.outcome)[0, 1] > 0.5
    raw = pool(members, "direction").many(TUNE.x)
    assert np.corrcoef(raw[:, 2] - raw[:, 0], TUNE.outcome)[0, 1] > 0.4


@pytest.mark.parametrize("name", LEARNERS)
def test_same_seed_gives_the_same_members(name):
    assert fresh(name) == fitted(name)


@pytest.mark.parametrize("name", ["lightgbm", "xgboost", "boosting", "linear"])
def test_balanced_weights_leave_the_probabilities_of_the_rows(name):
    odds = 1e-9 + np.exp(pool(fitted(name, balance=1.0), "direction").many(TUNE.x))
    shares = (odds / odds.sum(axis=1, keepdims=True)).mean(axis=0)
    assert shares == pytest.approx(np.bincount(FIT.y) / len(FIT.y), abs=0.06)


def test_left_out_features_move_nothing():
    members = fitted("linear+boosting", keep=0.34)
    kept = chosen(FIT, NAMES, 0.34, 3, 1)
    assert kept.sum() == 2
    other = TUNE.x.copy()
    other[:, ~kept] = 7.0
    for role in ("direction", "return"):
        assert (pool(members, role).many(TUNE.x) == pool(members, role).many(other)).all()
    whole = pool(fitted("linear"), "return")
    assert not (whole.many(TUNE.x) == whole.many(other)).all()


def test_an_ensemble_is_the_average_of_its_tempered_members():
    members = [each for each in fitted("lightgbm+linear") if each.role == "direction"]
    assert sum(each.weight for each in members) == pytest.approx(1.0)
    alone = [
        Pool([msgspec.structs.replace(each, weight=1.0)], len(NAMES), 3).many(TUNE.x)
        for each in members
    ]
    average = sum(each.weight * raw for each, raw in zip(members, alone, strict=True))
    np.testing.assert_allclose(
        Pool(members, len(NAMES), 3).many(TUNE.x), average, rtol=1e-12, atol=1e-12
    )


def test_a_loss_that_is_not_finite_names_the_learner_and_the_round():
    with pytest.raises(TrainingRefused, match=r"lightgbm: expected a finite loss, got (nan|inf)"):
        LightGBM(learning_rate=1e300).fit(FIT, TUNE, NAMES, 0, 1)
    with pytest.raises(TrainingRefused, match="it: expected a finite loss, got inf in round 2;"):
        check_losses("it", np.array([1.0, np.inf, np.nan]))


@pytest.mark.parametrize("field", ["outcome", "weight"])
def test_a_row_without_a_target_or_weight_is_refused(field):
    spoilt = getattr(FIT, field).copy()
    spoilt[:7] = np.nan
    what = {"outcome": "returns", "weight": "weights"}[field]
    with pytest.raises(TrainingRefused, match=f"block 'fit': expected finite {what}, got 7 of"):
        Recipe(LightGBM()).fit(FIT._replace(**{field: spoilt}), TUNE, NAMES, 0, 1)


@pytest.mark.parametrize("name", ["", "catboost", "lightgbm+lightgbm", "lightgbm+"])
def test_an_unknown_learner_is_refused_with_the_known_ones(name):
    with pytest.raises(TrainingRefused, match="expected one of lightgbm, xgboost"):
        learner(name)
