"""Timing: at which horizon does the model's direction pay most?

A row's pay at a horizon is what a position on the side that the direction model says earns until
then, after the round trip and the borrow, over the volatility of that horizon as known at as_of.

- The side is the model's, out of fold. On the realised side every row would pay at its largest
  move, which nobody can trade.
- Per unit of risk: a book sizes positions by it, and by chance each horizon then has the same
  spread, so that none wins by noise alone; per day held the shortest would.
- The class is the horizon that paid most, the shortest of equals, or none where all lost.

The sides come from folds of their own, timing learns on the rows that have one. Every fold is
purged by the exit of the longest horizon.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from models.artifact import Member
from models.pool import Pool
from training.calibrate import fit_scale, fit_slope, shrink
from training.errors import TrainingRefused
from training.fit import fit_fold
from training.labels import Floats, Ints
from training.learners.learner import Block
from training.learners.lightgbm import LightGBM, Task, grown_here
from training.learners.recipe import Recipe
from training.skill import horizon_sessions
from training.splits import SplitRule
from training.study.folds import checked_folds
from training.study.horizons import Horizons
from training.train import Progress
from training.weights import uniqueness

SIDES = SplitRule(n_folds=6, tune=0.1, choose=0.0, judge=0.12)
SPLIT = SplitRule(n_folds=3, tune=0.18, choose=0.0, judge=0.12)
NONE = 0
_OWN = ("direction_score", "direction_confidence")
_SIDES_SHARE = 0.7  # of the progress


@dataclass(frozen=True)
class Timed:
    """The rows of all judge blocks: (n,), (n, h) by horizon, or (n, 1 + h) by class.

    score : P(bullish) - P(bearish) of the direction model, out of fold.
    y : NONE, or 1 + the number of the horizon that paid most.
    p, baseline : what the model gives each class, and the classes' shares of the fit rows.
    pay, expected : in units of risk; what came, and what was to be expected of p.
    """

    horizons: Horizons
    fold: Ints
    score: Floats
    y: Ints
    p: Floats
    baseline: Floats
    pay: Floats
    expected: Floats

    @property
    def advised(self) -> Ints:
        """The number of the horizon that is expected to pay most."""
        advised: Ints = self.expected.argmax(axis=1)
        return advised

    @property
    def sessions(self) -> int:
        """Of the longest horizon."""
        return max(map(horizon_sessions, self.horizons.rules))


def timing(
    horizons: Horizons,
    *,
    seed: int,
    num_threads: int = 1,
    progress: Progress = lambda step, share: None,
) -> Timed:
    """Learn on every fold which horizon pays most, and say it of the judge rows.

    Raises
    ------
    TrainingRefused
        There are too few rows, or what they moved by is all of one class.
    """
    score = directions(horizons, seed=seed, num_threads=num_threads, progress=progress)
    known = ~np.isnan(score)
    horizons, score = horizons.take(known), score[known]
    last_exit = horizons.last_exit_us
    pay = horizons.pay(np.sign(score))
    y = classes_of(pay)
    x = np.column_stack([horizons.rows.x, score, np.abs(score)])
    weight = uniqueness(replace(horizons.rows, exit_us=last_exit))
    block = Block(x, y, pay.max(axis=1), weight)
    names = (*horizons.rows.feature_names, *_OWN)
    folds = checked_folds(horizons.rows.as_of_us, last_exit, SPLIT, "rows with a direction")
    parts = []
    for i, fold in enumerate(folds):
        step = f"timing, fold {i + 1} of {len(folds)}"
        progress(step, _SIDES_SHARE + (1.0 - _SIDES_SHARE) * i / len(folds))
        fit, tune = block.take(fold.fit), block.take(fold.tune)
        prior = _shares(fit.y, 1 + len(horizons.rules))
        p_tune, p = _said(fit, tune, x[fold.judge], names, prior, seed, num_threads)
        expected = _expected(pay[fold.fit], fit.y, prior, p_tune, pay[fold.tune], p)
        baseline = np.tile(prior, (len(p), 1))
        parts.append((fold.judge, np.full(len(p), i), p, baseline, expected))
    judge, fold_of, p, baseline, expected = map(np.concatenate, zip(*parts, strict=True))
    return Timed(
        horizons=horizons.take(judge),
        fold=fold_of,
        score=score[judge],
        y=y[judge],
        p=p,
        baseline=baseline,
        pay=pay[judge],
        expected=expected,
    )


def directions(
    horizons: Horizons,
    *,
    seed: int,
    num_threads: int = 1,
    progress: Progress = lambda step, share: None,
) -> Floats:
    """(n,) P(bullish) - P(bearish) at the first horizon, out of fold; NaN before the first fold."""
    rows = horizons.rows
    found = np.full(len(rows), np.nan)
    folds = checked_folds(rows.as_of_us, horizons.last_exit_us, SIDES, "labelled rows")
    for i, fold in enumerate(folds):
        label = f"direction, fold {i + 1}"
        progress(f"{label} of {len(folds)}", _SIDES_SHARE * i / len(folds))
        fit, tune = rows.take(fold.fit), rows.take(fold.tune)
        counts = np.bincount(fit.y, minlength=3)
        if counts.min() == 0:
            raise TrainingRefused(
                f"{label}: expected bearish, neutral and bullish rows to learn from, got "
                f"{counts[0]}, {counts[1]} and {counts[2]} of them"
            )
        fitted = fit_fold(
            fit, tune, Recipe(LightGBM()), label=label, seed=seed, num_threads=num_threads
        )
        p, _ = fitted.predict(rows.take(fold.judge))
        found[fold.judge] = p[:, 2] - p[:, 0]
    return found


def classes_of(pay: Floats) -> Ints:
    """NONE where nothing paid, else 1 + the number of what paid most, the first of equals."""
    return np.where(pay.max(axis=1) > 0.0, 1 + pay.argmax(axis=1), NONE)


def _said(
    fit: Block,
    tune: Block,
    x: Floats,
    names: tuple[str, ...],
    prior: Floats,
    seed: int,
    num_threads: int,
) -> tuple[Floats, Floats]:
    """(n, 1 + h) probabilities of tune and of the rows x, drawn to the prior as tune asks for."""
    parameters = LightGBM().classifying(len(prior), seed, num_threads)
    (text,) = grown_here(fit, tune, names, [Task(parameters, fit.classes, tune.classes)])
    member = Member(role="direction", format="lightgbm", text=text)
    pool = Pool([member], x.shape[1], len(prior))
    raw = pool.many(tune.x)
    # Rounded, so that no trust at all is exactly the prior.
    scale = fit_scale(raw, tune.y, prior)
    if scale == 0.0:
        return np.tile(prior, (len(tune.x), 1)), np.tile(prior, (len(x), 1))
    return shrink(raw, prior, scale), shrink(pool.many(x), prior, scale)


def _expected(
    pay: Floats, y: Ints, prior: Floats, p_tune: Floats, pay_tune: Floats, p: Floats
) -> Floats:
    """(n, h) pay to expect of p: the fit rows' mean, and what p implies beyond it.

    As much of that as came true on tune, apart for all horizons of a row together and for what
    sets them apart: the first is the larger, and says nothing of timing.
    """
    means, usual = _means(pay, y), pay.mean(axis=0)
    (level_tune, apart_tune), (level_came, apart_came), (level, apart) = (
        _parted(each) for each in ((p_tune - prior) @ means, pay_tune - usual, (p - prior) @ means)
    )
    together = fit_slope(level_tune, level_came) * level
    timed = fit_slope(apart_tune.ravel(), apart_came.ravel()) * apart
    expected: Floats = usual + together[:, None] + timed
    return expected


def _parted(by_horizon: Floats) -> tuple[Floats, Floats]:
    """(n,) the mean of each row, and (n, h) what its horizons differ from it."""
    level = by_horizon.mean(axis=1)
    return level, by_horizon - level[:, None]


def _shares(y: Ints, n: int) -> Floats:
    """Of the classes; none is 0, as each could come."""
    shares: Floats = (np.bincount(y, minlength=n) + 1.0) / (len(y) + n)
    return shares


def _means(pay: Floats, y: Ints) -> Floats:
    """(1 + h, h) mean pay of each class's rows; 0 of a class without any."""
    n = pay.shape[1] + 1
    counts = np.maximum(np.bincount(y, minlength=n), 1)
    return np.column_stack([np.bincount(y, column, minlength=n) / counts for column in pay.T])
