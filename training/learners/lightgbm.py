"""LightGBM: small trees, few of them, with random split points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import lightgbm
import numpy as np

from models.artifact import Member
from training.labels import Floats, Ints
from training.learners.learner import MAX_ROUNDS, STOP_AFTER, Block, Span, Tunable, check_losses


@dataclass(frozen=True)
class LightGBM(Tunable):
    """Hyperparameters.

    least_a_class : independent outcomes (sum of hessians) that a leaf needs for the direction; a
        return needs four times as many.
    feature_share : of the features, drawn at every split.
    """

    learning_rate: float = 0.05
    num_leaves: int = 7
    lambda_l2: float = 10.0
    least_a_class: float = 5.0
    feature_share: float = 0.5

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
        # The bins are found once; trees for both targets grow from them.
        common = {
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
        data = lightgbm.Dataset(
            fit.x, fit.y, weight=fit.weight, feature_name=list(names), free_raw_data=False
        )
        held_out = lightgbm.Dataset(
            tune.x, tune.y, weight=tune.weight, reference=data, free_raw_data=False
        )
        direction = {"objective": "multiclass", "num_class": 3, "metric": "multi_logloss"}
        expected = {"objective": "regression", "metric": "l2"}
        least = "min_sum_hessian_in_leaf"
        return (
            Member(role="direction", format="lightgbm", text=_boosted(
                {**common, **direction, least: self.least_a_class},
                data, held_out, fit.y, tune.y,
            )),
            Member(role="return", format="lightgbm", text=_boosted(
                {**common, **expected, least: 4 * self.least_a_class},
                data, held_out, fit.bps, tune.bps,
            )),
        )  # fmt: skip


def _boosted(
    parameters: dict[str, Any],
    data: lightgbm.Dataset,
    held_out: lightgbm.Dataset,
    target: Floats | Ints,
    tune_target: Floats | Ints,
) -> str:
    data.set_label(target)
    held_out.set_label(tune_target)
    losses: dict[str, dict[str, list[float]]] = {}
    booster = lightgbm.train(
        parameters,
        data,
        MAX_ROUNDS,
        valid_sets=[held_out],
        callbacks=[
            lightgbm.early_stopping(STOP_AFTER, verbose=False),
            lightgbm.record_evaluation(losses),
        ],
    )
    check_losses(LightGBM.name, np.array(losses["valid_0"][parameters["metric"]]))
    text: str = booster.model_to_string(num_iteration=booster.best_iteration)
    return text
