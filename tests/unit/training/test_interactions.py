"""Interactions: found where two features act together, and 0 where what they do adds up."""

import numpy as np
import pytest

from tests.unit.models.test_artifact_scorer import boosters, make_artifact
from tests.unit.training.planted import NAMES, make_block
from training.interactions import interactions, log_odds
from training.learners.lightgbm import LightGBM
from training.learners.recipe import Recipe

X = np.random.default_rng(0).normal(size=(300, 4))


def naive(function, rows, j, k):
    """H² of a pair, by loops over the rows."""

    def mean_at(fixed):
        values = []
        for row in rows:
            given = row.copy()
            for column, value in fixed.items():
                given[column] = value
            values.append(function(given[None, :])[0])
        return np.mean(values)

    f_j = np.array([mean_at({j: row[j]}) for row in rows])
    f_k = np.array([mean_at({k: row[k]}) for row in rows])
    f_jk = np.array([mean_at({j: row[j], k: row[k]}) for row in rows])
    f_j, f_k, f_jk = (each - each.mean() for each in (f_j, f_k, f_jk))
    return ((f_jk - f_j - f_k) ** 2).sum() / (f_jk**2).sum()


def adds_up(x):
    return np.sin(x[:, 0]) + x[:, 1] ** 2 - 3.0 * (x[:, 2] > 0)


def multiplies(x):
    return adds_up(x) + x[:, 1] * x[:, 3]


def test_what_adds_up_has_no_interaction_and_a_product_has_one():
    assert interactions(adds_up, X, [0, 1, 2, 3], seed=0) == []
    (found,) = interactions(multiplies, X, [0, 1, 2, 3], seed=0)
    assert (found.one, found.other) == (1, 3)
    assert 0.1 < found.share < 0.9


def test_neither_of_two_factors_does_anything_alone():
    signs = np.array([[a, b] for a in (-1.0, 1.0) for b in (-1.0, 1.0)] * 10)
    (found,) = interactions(lambda x: x[:, 0] * x[:, 1], signs, [0, 1], seed=0)
    assert (found.apart, found.share) == pytest.approx((1.0, 1.0))


def test_h_equals_the_definition_by_loops():
    rows = X[:40]  # all are drawn

    def function(x):
        return multiplies(x) + np.abs(x[:, 0] - x[:, 2])

    found = interactions(function, rows, [0, 1, 2, 3], seed=3)
    assert {(pair.one, pair.other) for pair in found} == {(0, 2), (1, 3)}
    for pair in found:
        assert pair.share == pytest.approx(naive(function, rows, pair.one, pair.other))


def test_a_missing_value_is_a_value_like_others():
    x = X.copy()
    x[::3, 0] = np.nan
    known = interactions(lambda x: np.isnan(x[:, 0]) * x[:, 1], x, [0, 1, 2], seed=0)
    assert [(pair.one, pair.other) for pair in known] == [(0, 1)]


def test_a_trained_models_interaction_is_the_planted_one():
    draw = np.random.default_rng(1)
    block = make_block(3_000)
    x = draw.normal(size=block.x.shape)
    y = np.digitize(x[:, 0] * x[:, 1] + x[:, 2] + 0.3 * draw.normal(size=len(x)), [-0.7, 0.7])
    block = block._replace(x=x, y=y)
    members = Recipe(LightGBM()).fit(block, block, NAMES, 0, 1)
    artifact = make_artifact(boosters(), members=members, feature_names=NAMES)
    strongest = interactions(log_odds(artifact), x, range(len(NAMES)), seed=0)[0]
    assert (strongest.one, strongest.other) == (0, 1)
    assert strongest.share > 0.5
