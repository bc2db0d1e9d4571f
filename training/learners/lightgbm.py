"""LightGBM: small trees, few of them, with random split points."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import lightgbm
import numpy as np

from models.artifact import Member
from training.learners.categories import categories
from training.learners.learner import (
    MAX_ROUNDS,
    STOP_AFTER,
    Block,
    Span,
    Told,
    Tunable,
    check_losses,
)

_ROLES: tuple[Literal["direction", "return"], ...] = ("direction", "return")


class Task(NamedTuple):
    """Trees for one target. fit, tune : it, of the rows; parameters : by LightGBM's names."""

    parameters: Mapping[str, Any]
    fit: Told
    tune: Told


# From fit rows, tune rows and the features' names, for each task: LightGBM's text, of the rounds
# that are best on the tune rows.
Grow = Callable[[Block, Block, tuple[str, ...], Sequence[Task]], list[str]]


def grown_here(fit: Block, tune: Block, names: tuple[str, ...], tasks: Sequence[Task]) -> list[str]:
    """Grow trees on this machine; the bins are found once for all targets."""
    data = lightgbm.Dataset(
        fit.x, fit.y, feature_name=list(names), categorical_feature=categories(names),
        free_raw_data=False,
    )  # fmt: skip
    held_out = lightgbm.Dataset(tune.x, tune.y, reference=data, free_raw_data=False)
    return [_boosted(task, data, held_out) for task in tasks]


def _boosted(task: Task, data: lightgbm.Dataset, held_out: lightgbm.Dataset) -> str:
    for part, (target, weight) in ((data, task.fit), (held_out, task.tune)):
        part.set_label(target).set_weight(weight)
    losses: dict[str, dict[str, list[float]]] = {}
    booster = lightgbm.train(
        dict(task.parameters),
        data,
        MAX_ROUNDS,
        valid_sets=[held_out],
        callbacks=[
            lightgbm.early_stopping(STOP_AFTER, verbose=False),
            lightgbm.record_evaluation(losses),
        ],
    )
    check_losses(LightGBM.name, np.array(losses["valid_0"][task.parameters["metric"]]))
    text: str = booster.model_to_string(num_iteration=booster.best_iteration)
    return text


@dataclass(frozen=True)
class LightGBM(Tunable):
    """Hyperparameters.

    least_a_class : independent outcomes (sum of hessians) that a leaf needs for the direction; a
        return needs four times as many.
    feature_share : of the features, drawn at every split.
    grown : where the trees grow.
    """

    learning_rate: float = 0.05
    num_leaves: int = 7
    lambda_l2: float = 10.0
    least_a_class: float = 5.0
    feature_share: float = 0.5
    grown: Grow = grown_here

    name: ClassVar[str] = "lightgbm"
    space: ClassVar[Mapping[str, Span]] = {
        "learning_rate": Span(0.01, 0.2, log=True),
        "num_leaves": Span(3, 31, log=True),
        "lambda_l2": Span(1.0, 1_000.0, log=True),
        "least_a_class": Span(1.0, 50.0, log=True),
        "feature_share": Span(0.1, 1.0),
    }

    def fit(
        self, fit: Block, tune: Block, names: tuple[str, ...], seed: int, threads: int
    ) -> tuple[Member, ...]:
        expected = {
            **self._common(seed, threads),
            "objective": "regression",
            "metric": "l2",
            "min_sum_hessian_in_leaf": 4 * self.least_a_class,
        }
        tasks = (
            Task(self.classifying(3, seed, threads), fit.classes, tune.classes),
            Task(expected, fit.returns, tune.returns),
        )
        texts = self.grown(fit, tune, names, tasks)
        return tuple(
            Member(role=role, format="lightgbm", text=text)
            for role, text in zip(_ROLES, texts, strict=True)
        )

    def classifying(self, n_classes: int, seed: int, threads: int) -> dict[str, Any]:
        """LightGBM's parameters of trees that tell classes apart."""
        return {
            **self._common(seed, threads),
            "objective": "multiclass",
            "num_class": n_classes,
            "metric": "multi_logloss",
            "min_sum_hessian_in_leaf": self.least_a_class,
        }

    def _common(self, seed: int, threads: int) -> dict[str, Any]:
        return {
            "learning_rate": self.learning_rate,
            "num_leaves": self.num_leaves,
            "lambda_l2": self.lambda_l2,
            "feature_fraction_bynode": self.feature_share,
            # Slow features name a day rather than say something of it: random split points
            # keep them from being fitted.
            "extra_trees": True,
            "max_bin": 127,
            "min_data_in_leaf": 20,
            "deterministic": True,
            "force_row_wise": True,
            "verbose": -1,
            "seed": seed,
            "num_threads": threads,
        }
