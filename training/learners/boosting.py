"""scikit-learn's gradient boosting by histograms, its trees written as LightGBM's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

from models.artifact import Member
from training.learners.categories import without_categories
from training.learners.learner import (
    MAX_ROUNDS,
    STOP_AFTER,
    Block,
    Span,
    Told,
    Tunable,
    check_losses,
)
from training.learners.trees import Tree, lightgbm_text
from training.splits import Rows


@dataclass(frozen=True)
class Boosting(Tunable):
    """Hyperparameters."""

    learning_rate: float = 0.05
    num_leaves: int = 7
    lambda_l2: float = 10.0
    min_rows: int = 50
    feature_share: float = 0.5

    name: ClassVar[str] = "boosting"
    space: ClassVar[Mapping[str, Span]] = {
        "learning_rate": Span(0.01, 0.2, log=True),
        "num_leaves": Span(3, 31, log=True),
        "lambda_l2": Span(1.0, 1_000.0, log=True),
        "min_rows": Span(10, 500, log=True),
        "feature_share": Span(0.1, 1.0),
    }

    def fit(
        self, fit: Block, tune: Block, names: tuple[str, ...], seed: int, threads: int
    ) -> tuple[Member, ...]:
        fit, tune = (without_categories(each, names) for each in (fit, tune))
        common: dict[str, Any] = {
            "learning_rate": self.learning_rate,
            "max_leaf_nodes": self.num_leaves,
            "l2_regularization": self.lambda_l2,
            "min_samples_leaf": self.min_rows,
            "max_features": self.feature_share,
            "max_iter": MAX_ROUNDS,
            "max_bins": 127,
            "early_stopping": True,
            "n_iter_no_change": STOP_AFTER,
            "scoring": "loss",
            "random_state": seed,
        }
        with threadpool_limits(threads, user_api="openmp"):
            return (
                _member("direction", HistGradientBoostingClassifier(**common), fit, tune,
                        fit.classes, tune.classes, names),
                _member("return", HistGradientBoostingRegressor(**common), fit, tune,
                        fit.returns, tune.returns, names),
            )  # fmt: skip


def _member(
    role: Literal["direction", "return"],
    model: Any,
    fit: Block,
    tune: Block,
    told: Told,
    tune_told: Told,
    names: tuple[str, ...],
) -> Member:
    seen = np.flatnonzero(~np.isnan(fit.x).all(axis=0))  # it cannot bin a column without values
    model.fit(
        fit.x[:, seen],
        *told,
        X_val=tune.x[:, seen],
        y_val=tune_told[0],
        sample_weight_val=tune_told[1],
    )
    losses = -np.asarray(model.validation_score_)[1:]  # the first is of no tree
    check_losses(Boosting.name, losses)
    start = np.ravel(model._baseline_prediction)
    best = model._predictors[: int(losses.argmin()) + 1]
    return Member(
        role=role,
        format="lightgbm",
        text=lightgbm_text(trees(best, seen), len(start), names),
        learner=Boosting.name,
        bias=tuple(start.tolist()),
    )


def trees(rounds: Any, columns: Rows) -> list[Tree]:
    """Trees of scikit-learn's predictors, which know only these columns."""
    return [_tree(each.nodes, columns) for row in rounds for each in row]


def _tree(nodes: Any, columns: Rows) -> Tree:
    leaf = nodes["is_leaf"].astype(bool)
    return Tree(
        left=np.where(leaf, -1, nodes["left"].astype(np.int64)),
        right=np.where(leaf, -1, nodes["right"].astype(np.int64)),
        feature=columns[nodes["feature_idx"]],
        threshold=nodes["num_threshold"],
        missing_left=nodes["missing_go_to_left"].astype(bool),
        value=nodes["value"],
        rows=nodes["count"].astype(np.float64),
        gain=np.maximum(nodes["gain"], 0.0),
    )
