"""Logistic regression for the direction and ridge for the return, on ranked inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import msgspec
import numpy as np
from sklearn.linear_model import LogisticRegression, Ridge
from threadpoolctl import threadpool_limits

from models.artifact import Member
from models.linear import N_KNOTS, Line, Ranker
from training.labels import Floats
from training.learners.categories import without_categories
from training.learners.learner import Block, Span, Tunable, check_losses

_MAX_STEPS = 200


@dataclass(frozen=True)
class Linear(Tunable):
    """Hyperparameters. shrinkage : of the coefficients, against the sum of weights."""

    shrinkage: float = 0.05

    name: ClassVar[str] = "linear"
    space: ClassVar[Mapping[str, Span]] = {"shrinkage": Span(1e-4, 10.0, log=True)}

    def fit(
        self, fit: Block, tune: Block, names: tuple[str, ...], seed: int, threads: int
    ) -> tuple[Member, ...]:
        fit = without_categories(fit, names)
        corners = [_corners(column) for column in fit.x.T]
        knots, levels = (tuple(each) for each in zip(*corners, strict=True))
        ranks = Ranker(knots, levels).many(fit.x)
        penalty = self.shrinkage * fit.weight.sum()
        direction = LogisticRegression(C=1.0 / penalty, max_iter=_MAX_STEPS, tol=1e-5)
        with threadpool_limits(threads):
            direction.fit(ranks, fit.y, fit.weight)
            outcome, weight = fit.returns
            expected = Ridge(alpha=self.shrinkage * weight.sum()).fit(ranks, outcome, weight)

        def member(
            role: Literal["direction", "return"], coefficients: Floats, intercepts: Floats
        ) -> Member:
            check_losses(self.name, np.append(coefficients.sum(axis=1), intercepts.sum()))
            line = Line(
                knots=knots,
                levels=levels,
                coefficients=tuple(tuple(row) for row in coefficients.tolist()),
                intercepts=tuple(intercepts.tolist()),
            )
            text = msgspec.json.encode(line).decode()
            return Member(role=role, format="linear", text=text, learner=self.name)

        return (
            member("direction", direction.coef_, direction.intercept_),
            member("return", np.atleast_2d(expected.coef_), np.atleast_1d(expected.intercept_)),
        )


def _corners(column: Floats) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Quantiles and their ranks; a value that is several quantiles has the middle of them."""
    seen = column[~np.isnan(column)]
    if not len(seen):
        return (), ()
    at = np.linspace(0.0, 1.0, N_KNOTS)
    values, first, count = np.unique(np.quantile(seen, at), return_index=True, return_counts=True)
    middle = (at[first] + at[first + count - 1]) / 2 - 0.5
    return tuple(values.tolist()), tuple(middle.tolist())
