"""The learners: strongly shrunk, pooled over all symbols. Each gives a score for rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import lightgbm
import numpy as np
from sklearn.linear_model import LogisticRegression, Ridge

from training.labels import Floats

RIDGE, LOGISTIC, LIGHTGBM = "ridge", "logistic", "LightGBM"
LEARNERS = (RIDGE, LOGISTIC, LIGHTGBM)
RIDGE_SHARE = 1.0 / 12.0  # of a rank's own sum of squares added to it
_LOGISTIC_C = 1e-3
_TREES = 120
_LIGHTGBM = {
    "objective": "regression",
    "num_leaves": 8,
    "learning_rate": 0.03,
    "min_data_in_leaf": 300,
    "feature_fraction": 0.3,
    "bagging_fraction": 0.5,
    "bagging_freq": 1,
    "lambda_l2": 50.0,
    "max_bin": 31,
    "num_threads": 1,
    "deterministic": True,
    "force_col_wise": True,
    "verbose": -1,
}
Score = Callable[[Floats], Floats]


def fit(learner: str, inputs: Floats, target: Floats, seeds: Sequence[int]) -> list[Score]:
    """Learn `target`, a rank in (-0.5, 0.5), or its sign; of LightGBM once a seed."""
    if learner == RIDGE:
        alpha = RIDGE_SHARE * len(inputs)
        ridge = Ridge(alpha=alpha, fit_intercept=False).fit(inputs, target)
        return [lambda rows: np.asarray(ridge.predict(rows))]
    if learner == LOGISTIC:
        told = LogisticRegression(C=_LOGISTIC_C, max_iter=300).fit(inputs, target > 0.0)
        return [lambda rows: np.asarray(told.decision_function(rows))]
    binned = lightgbm.Dataset(inputs, target, params=_LIGHTGBM).construct()
    return [
        partial(_predicted, lightgbm.train({**_LIGHTGBM, "seed": seed}, binned, _TREES))
        for seed in seeds
    ]


def _predicted(booster: lightgbm.Booster, rows: Floats) -> Floats:
    return np.asarray(booster.predict(rows, num_threads=1))
