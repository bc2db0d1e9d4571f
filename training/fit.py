"""One fold's model: members from its fit rows, calibration and threshold from later ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec
import numpy as np

from models.artifact import CLASSES, Calibration, Member
from models.pool import Pool
from models.sequence import Sequences
from models.unit import Target
from training.calibrate import (
    Threshold,
    calibrated,
    choose_threshold,
    effective_days,
    fit_calibration,
    fit_slope,
)
from training.errors import TrainingRefused
from training.judged import Judged
from training.labels import Floats
from training.learners.recipe import Recipe
from training.rows import TrainingTable
from training.splits import Rows
from training.targets import aim_at, foreseen, unit_bps


class Fitted(NamedTuple):
    """Members and how to read them.

    prior : class shares of the fit rows. n_days : effective, of the rows that calibrated.
    target : what the expected return is of. n_tried : models that were fitted to choose these
    members. found : what else is worth a metric.
    """

    members: tuple[Member, ...]
    calibration: Calibration
    prior: Floats
    n_days: float
    target: Target
    n_tried: int = 0
    found: Mapping[str, float | None] = {}

    def predict(self, rows: TrainingTable) -> tuple[Floats, Floats]:
        """(n, 3) probabilities and (n,) expected returns in basis points."""
        raw, units = raw_scores(self.members, rows.x, rows.sequence)
        expected = self.calibration.return_scale * units * unit_bps(self.target, rows)
        return calibrated(raw, self.calibration), expected


def fit_fold(
    fit: TrainingTable,
    tune: TrainingTable,
    recipe: Recipe,
    *,
    label: str,
    seed: int,
    num_threads: int,
) -> Fitted:
    """Members from the rows `fit`, calibrated on `tune`.

    Parameters
    ----------
    label : of the fold, for messages.

    Raises
    ------
    TrainingRefused
        A loss, return or weight is not finite, or no row has what the target asks for.
    """
    aim = aim_at(recipe.target, fit)
    try:
        learnt, held_out = aim.block(fit), aim.block(tune)
        members = recipe.fit(learnt, held_out, fit.feature_names, seed, num_threads)
    except TrainingRefused as error:
        raise TrainingRefused(f"{label}, {error}") from None
    return read(members, fit, tune, recipe.target)


def read(
    members: tuple[Member, ...], fit: TrainingTable, tune: TrainingTable, target: Target
) -> Fitted:
    """The members, which `fit` made, calibrated on `tune`."""
    held_out = aim_at(target, fit).block(tune)
    prior = np.bincount(fit.y, minlength=3) / len(fit)
    raw, units = raw_scores(members, tune.x, tune.sequence)
    slope = fit_slope(units[held_out.known], held_out.outcome[held_out.known])
    n_days = effective_days(tune.as_of_us, tune.rule.horizon_us)
    calibration = msgspec.structs.replace(
        fit_calibration(raw, tune.y, prior, n_days), return_scale=slope
    )
    return Fitted(members, calibration, prior, n_days, target)


def threshold_of(fitted: Fitted, choose: TrainingTable) -> Threshold:
    """The confidence to act from, by what acting on rows of `choose` earned after costs."""
    p, _ = fitted.predict(choose)
    return choose_threshold(p, choose.forward_return, choose.cost)


def judged_rows(fitted: Fitted, rows: TrainingTable, block: Rows, fold: int) -> Judged:
    """What it says of the rows `block`, beside what came of them."""
    part = rows.take(block)
    p, expected = fitted.predict(part)
    unasked = np.full((len(part), 3), np.nan)
    return Judged(
        row=block,
        fold=np.full(len(part), fold),
        symbol=part.symbol,
        as_of_us=part.as_of_us,
        entry_us=part.entry_us,
        y=part.y,
        p=p,
        baseline=np.tile(fitted.prior, (len(part), 1)),
        price_only=unasked,
        champion=unasked,
        expected=expected,
        foreseen=foreseen(fitted.target, part),
        forward_return=part.forward_return,
        cost=part.cost,
    )


def raw_scores(
    members: tuple[Member, ...], x: Floats, sequences: Sequences | None = None
) -> tuple[Floats, Floats]:
    """(n, 3) pooled raw scores and (n,) pooled returns in units, by the code that serves."""
    n = x.shape[1]
    direction, expected = (
        Pool([each for each in members if each.role == role], n, n_outputs).many(x, sequences)
        for role, n_outputs in (("direction", len(CLASSES)), ("return", 1))
    )
    return direction, expected[:, 0]
