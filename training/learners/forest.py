"""A random forest, its trees written as LightGBM's. Its outputs are probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from models.artifact import Member
from training.learners.categories import without_categories
from training.learners.learner import Block, Span, Tunable
from training.learners.trees import Tree, lightgbm_text, of_float32


@dataclass(frozen=True)
class Forest(Tunable):
    """Hyperparameters. rows_share : of the rows, drawn for every tree."""

    n_trees: int = 40  # 40 to 50 us a row, direction and return together
    max_depth: int = 6
    min_rows: int = 50
    feature_share: float = 0.3
    rows_share: float = 0.3

    name: ClassVar[str] = "forest"
    space: ClassVar[Mapping[str, Span]] = {
        "max_depth": Span(3, 10),
        "min_rows": Span(10, 500, log=True),
        "feature_share": Span(0.1, 1.0),
        "rows_share": Span(0.1, 0.9),
    }

    def fit(
        self, fit: Block, tune: Block, names: tuple[str, ...], seed: int, threads: int
    ) -> tuple[Member, ...]:
        fit = without_categories(fit, names)
        common: dict[str, Any] = {
            "n_estimators": self.n_trees,
            "max_depth": self.max_depth,
            "min_samples_leaf": self.min_rows,
            "max_features": self.feature_share,
            "max_samples": self.rows_share,
            "random_state": seed,
            "n_jobs": threads,
        }
        direction = RandomForestClassifier(**common).fit(fit.x, *fit.classes)
        expected = RandomForestRegressor(**common).fit(fit.x, *fit.returns)
        return (
            Member(
                role="direction",
                format="lightgbm",
                text=lightgbm_text(trees(direction, 3), 3, names),
                learner=self.name,
                link="probability",
            ),
            Member(
                role="return",
                format="lightgbm",
                text=lightgbm_text(trees(expected, 1), 1, names),
                learner=self.name,
            ),
        )


def trees(forest: Any, n_outputs: int) -> list[Tree]:
    """A tree of each output; the forest's answer is their mean, so leaves are divided."""
    found = []
    for one in forest.estimators_:
        tree = one.tree_
        left, right = tree.children_left, tree.children_right
        inner = left >= 0
        spread = tree.weighted_n_node_samples * tree.impurity
        gain = np.where(inner, spread - spread[left] - spread[right], 0.0)
        found += [
            Tree(
                left=left,
                right=right,
                feature=tree.feature,
                threshold=of_float32(tree.threshold),
                missing_left=tree.missing_go_to_left.astype(bool),
                value=tree.value[:, 0, k] / len(forest.estimators_),
                rows=tree.weighted_n_node_samples,
                gain=np.maximum(gain, 0.0),
            )
            for k in range(n_outputs)
        ]
    return found
