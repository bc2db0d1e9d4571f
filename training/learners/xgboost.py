"""XGBoost by histograms, its trees written as LightGBM's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import xgboost

from models.artifact import Member
from training.labels import Floats
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
from training.learners.trees import Tree, lightgbm_text, of_float32


@dataclass(frozen=True)
class XGBoost(Tunable):
    """Hyperparameters. least_a_class : sum of hessians in a leaf; four times that for returns."""

    learning_rate: float = 0.05
    max_depth: int = 3
    lambda_l2: float = 10.0
    least_a_class: float = 5.0
    feature_share: float = 0.5

    name: ClassVar[str] = "xgboost"
    space: ClassVar[Mapping[str, Span]] = {
        "learning_rate": Span(0.01, 0.2, log=True),
        "max_depth": Span(2, 6),
        "lambda_l2": Span(1.0, 1_000.0, log=True),
        "least_a_class": Span(1.0, 50.0, log=True),
        "feature_share": Span(0.1, 1.0),
    }

    def fit(
        self, fit: Block, tune: Block, names: tuple[str, ...], seed: int, threads: int
    ) -> tuple[Member, ...]:
        fit, tune = (without_categories(each, names) for each in (fit, tune))
        common = {
            "eta": self.learning_rate,
            "max_depth": self.max_depth,
            "lambda": self.lambda_l2,
            "colsample_bynode": self.feature_share,
            "tree_method": "hist",
            "max_bin": 127,
            "seed": seed,
            "nthread": threads,
        }
        shares = np.bincount(fit.y, weights=fit.weight, minlength=3) / fit.weight.sum()
        direction = {
            "objective": "multi:softprob",
            "num_class": 3,
            "min_child_weight": self.least_a_class,
        }
        expected = {"objective": "reg:squarederror", "min_child_weight": 4 * self.least_a_class}
        outcome, weight = fit.returns
        mean = np.average(outcome, weights=weight)
        return (
            _member("direction", {**common, **direction}, fit, tune,
                    fit.classes, tune.classes, np.log(shares), names),
            _member("return", {**common, **expected}, fit, tune,
                    fit.returns, tune.returns, np.array([mean]), names),
        )  # fmt: skip


def _member(
    role: Literal["direction", "return"],
    parameters: dict[str, Any],
    fit: Block,
    tune: Block,
    told: Told,
    tune_told: Told,
    start: Floats,
    names: tuple[str, ...],
) -> Member:
    data, held_out = (
        xgboost.DMatrix(
            block.x,
            label,
            weight=weight,
            base_margin=np.tile(start, (len(block.x), 1)),
            nthread=parameters["nthread"],
        )
        for block, (label, weight) in ((fit, told), (tune, tune_told))
    )
    losses: dict[str, dict[str, list[float]]] = {}
    booster = xgboost.train(
        parameters,
        data,
        MAX_ROUNDS,
        evals=[(held_out, "tune")],
        early_stopping_rounds=STOP_AFTER,
        evals_result=losses,
        verbose_eval=False,
    )
    (loss,) = losses["tune"].values()
    check_losses(XGBoost.name, np.array(loss))
    best = booster[: booster.best_iteration + 1]
    return Member(
        role=role,
        format="lightgbm",
        text=lightgbm_text(trees(best), len(start), names),
        learner=XGBoost.name,
        bias=tuple(start.tolist()),
    )


def trees(booster: xgboost.Booster) -> list[Tree]:
    """Its trees, round by round, a tree for each output."""
    model = json.loads(booster.save_raw("json"))["learner"]["gradient_booster"]["model"]
    found = []
    for each in model["trees"]:
        left = np.array(each["left_children"])
        at = np.array(each["split_conditions"], dtype=np.float32)
        # It goes left when float32(value) < condition: at most the float32 before it.
        below = np.nextafter(at, np.float32(-np.inf)).astype(np.float64)
        found.append(
            Tree(
                left=left,
                right=np.array(each["right_children"]),
                feature=np.array(each["split_indices"]),
                threshold=of_float32(below),
                missing_left=np.array(each["default_left"], dtype=bool),
                value=np.where(left < 0, at, 0.0).astype(np.float64),
                rows=np.array(each["sum_hessian"], dtype=np.float64),
                gain=np.array(each["loss_changes"], dtype=np.float64),
            )
        )
    return found
