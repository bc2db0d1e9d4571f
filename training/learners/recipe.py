"""A learner and what is done to its rows first: fewer features, other weights of the classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

import lightgbm
import msgspec
import numpy as np
import numpy.typing as npt

from models.artifact import Member
from models.unit import Target
from training.errors import TrainingRefused
from training.labels import Floats
from training.learners.categories import categories, without
from training.learners.learner import Block, Learner, Span

_ROUNDS = 30  # of the trees that rank the features


@dataclass(frozen=True)
class Recipe:
    """How to fit a fold.

    target : what members for the return learn.
    keep : share of the features, those whose splits gain most on the fit rows.
    balance : 0 weighs rows as they are, 1 gives each class the same weight. The members' biases
        take it back out of the probabilities.
    per_sector : whether sectors may have models of their own (`training.by_sector`).
    """

    learner: Learner
    keep: float = 1.0
    balance: float = 0.0
    target: Target = "raw"
    per_sector: bool = False

    @property
    def space(self) -> Mapping[str, Span]:
        """What tuning may change."""
        return {"keep": Span(0.1, 1.0), "balance": Span(0.0, 1.0), **self.learner.space}

    @property
    def parameters(self) -> Mapping[str, float]:
        """The values in force of what tuning may change."""
        return {"keep": self.keep, "balance": self.balance, **self.learner.parameters}

    def changed(self, parameters: Mapping[str, float]) -> Self:
        """The same recipe with other parameters."""
        own = {"keep": self.keep, "balance": self.balance}
        rest = {name: value for name, value in parameters.items() if name not in own}
        own |= {name: value for name, value in parameters.items() if name in own}
        learner = self.learner.changed(rest)
        return replace(self, learner=learner, keep=own["keep"], balance=own["balance"])

    def fit(
        self, fit: Block, tune: Block, names: tuple[str, ...], seed: int, threads: int
    ) -> tuple[Member, ...]:
        """Members fitted on `fit`; `tune` stops boostings and weighs the members of ensembles.

        Raises
        ------
        TrainingRefused
            A return or weight is not finite, or a loss.
        """
        _check(fit, "fit")
        _check(tune, "tune")
        if self.keep < 1.0:
            dropped = ~chosen(fit, names, self.keep, seed, threads)
            fit, tune = (without(block, dropped) for block in (fit, tune))
        shares = np.bincount(fit.y, weights=fit.weight, minlength=3) / fit.weight.sum()
        factor = shares**-self.balance
        fit, tune = (block._replace(weight=block.weight * factor[block.y]) for block in (fit, tune))
        members = self.learner.fit(fit, tune, names, seed, threads)
        if self.balance == 0.0:
            return members
        bias = self.balance * np.log(shares)
        return tuple(_biased(each, bias) if each.role == "direction" else each for each in members)


def chosen(
    fit: Block, names: tuple[str, ...], keep: float, seed: int, threads: int
) -> npt.NDArray[np.bool_]:
    """(f,) which features gain most in a short boosting of these rows' returns."""
    n = max(1, round(keep * fit.x.shape[1]))
    outcome, weight = fit.returns
    booster = lightgbm.train(
        {
            "objective": "regression",
            "num_leaves": 7,
            "min_data_in_leaf": 20,
            "max_bin": 63,
            "deterministic": True,
            "force_row_wise": True,
            "verbose": -1,
            "seed": seed,
            "num_threads": threads,
        },
        lightgbm.Dataset(
            fit.x,
            outcome,
            weight=weight,
            feature_name=list(names),
            categorical_feature=categories(names),
        ),
        _ROUNDS,
    )
    order = np.argsort(-booster.feature_importance("gain"), kind="stable")
    mask = np.zeros(fit.x.shape[1], dtype=bool)
    mask[order[:n]] = True
    return mask


def _biased(member: Member, bias: Floats) -> Member:
    own = np.array(member.bias or (0.0,) * len(bias)) + bias
    return msgspec.structs.replace(member, bias=tuple(own.tolist()))


def _check(block: Block, name: str) -> None:
    for what, values in (("weights", block.weight), ("returns", block.outcome)):
        n_bad = int((~np.isfinite(values)).sum())
        if n_bad:
            raise TrainingRefused(
                f"block {name!r}: expected finite {what}, got {n_bad:,} of {len(values):,} rows "
                "without; look at the prices they come from"
            )
