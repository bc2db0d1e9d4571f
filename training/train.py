"""From a training table to an artifact and its verdict. Pure: seeds and threads are arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from models.artifact import Artifact, Reference, with_version
from training.errors import TrainingRefused
from training.evaluate import Judged, metrics
from training.fit import Fitted, fit_fold, threshold_of
from training.gates import MIN_ROWS, Verdict, judge
from training.labels import Floats
from training.learners.learner import Learner
from training.learners.lightgbm import LightGBM
from training.learners.recipe import Recipe
from training.prototypes import prototypes
from training.rows import TrainingTable
from training.splits import Fold, SplitRule, walk_forward

QUANTILES = ("0.001", "0.01", "0.1", "0.5", "0.9", "0.99", "0.999")

Progress = Callable[[str, float], None]

# From a fold's fit rows, its number and the number of folds: how to fit it, and after how many
# trials that was chosen.
Chooser = Callable[[TrainingTable, int, int], tuple[Recipe, int]]


def untuned(learner: Learner) -> Chooser:
    """The learner as it is, in every fold."""
    return lambda fit, fold, n_folds: (Recipe(learner), 0)


class Trained(NamedTuple):
    """The newest fold's artifact, judged on the judge blocks of all folds."""

    artifact: Artifact
    verdict: Verdict
    judged: Judged


def train_model(
    rows: TrainingTable,
    *,
    seed: int,
    chooser: Chooser = untuned(LightGBM()),  # noqa: B008 - frozen
    num_threads: int = 2,
    code_revision: str = "unknown",
    wheels: Mapping[str, str] | None = None,
    split: SplitRule | None = None,
    progress: Progress = lambda step, share: None,
) -> Trained:
    """Train on every fold, judge all of them together, keep the newest.

    Parameters
    ----------
    chooser : how to fit each fold, from its fit rows alone.

    Raises
    ------
    TrainingRefused
        There is nothing to learn from: too few rows, one class, or no feature that varies.
    """
    _check(rows)
    folds, purged = walk_forward(
        rows.as_of_us, rows.exit_us, split or SplitRule(), embargo_us=rows.rule.horizon_us
    )
    parts, n_trials = [], 0
    for i, fold in enumerate(folds):
        progress(f"fold {i + 1} of {len(folds)}", i / len(folds))
        _check_fold(rows, fold)
        fit = rows.take(fold.fit)
        recipe, n = chooser(fit, i, len(folds))
        n_trials += n
        label = f"fold {i + 1}"
        fitted = fit_fold(
            fit, rows.take(fold.tune), recipe, label=label, seed=seed, num_threads=num_threads
        )
        parts.append(_judged(rows.take(fold.judge), fitted))
    progress("judging", 1.0)
    judged = Judged.joined(parts)
    threshold = threshold_of(fitted, rows.take(fold.choose))
    verdict = judge(judged, len(rows), threshold.pays, seed=seed)
    found = metrics(judged) | {
        "n_purged": float(purged),
        "n_trials": float(n_trials),
        "scale": fitted.calibration.scale,
        "calibration_days": fitted.n_days,
        "coverage": threshold.coverage,
    }
    artifact = _artifact(
        rows, fold, recipe, fitted, threshold.confidence, found, seed, code_revision,
        wheels or {},
    )  # fmt: skip
    return Trained(artifact, verdict, judged)


def _check(rows: TrainingTable) -> None:
    if len(rows) < MIN_ROWS:
        left = ", ".join(f"{count:,} {reason}" for reason, count in rows.counts.items())
        raise TrainingRefused(
            f"expected at least {MIN_ROWS:,} labelled rows, got {len(rows):,}"
            + (f" (left out: {left})" if left else "")
            + "; load more history"
        )
    if not _varying(rows.x).any():
        raise TrainingRefused(
            f"expected features that vary, got {rows.x.shape[1]} constant or missing ones"
        )


def _check_fold(rows: TrainingTable, fold: Fold) -> None:
    for name, block in fold._asdict().items():
        counts = np.bincount(rows.y[block], minlength=3)
        if not len(block):
            raise TrainingRefused(
                f"block {name!r}: expected rows, got none after the purge; the history is short "
                f"against the horizon of {rows.rule.horizon}: load more of it"
            )
        if name == "fit" and counts.min() == 0:
            raise TrainingRefused(
                f"block {name!r}: expected bearish, neutral and bullish rows, got "
                f"{counts[0]}, {counts[1]} and {counts[2]} of them"
            )


def _varying(x: Floats) -> np.ndarray[Any, np.dtype[np.bool_]]:
    seen = np.where(np.isnan(x), -np.inf, x).max(axis=0)
    least = np.where(np.isnan(x), np.inf, x).min(axis=0)
    some_missing = np.isnan(x).any(axis=0) & ~np.isnan(x).all(axis=0)
    varying: np.ndarray[Any, np.dtype[np.bool_]] = (seen > least) | some_missing
    return varying


def _judged(rows: TrainingTable, fitted: Fitted) -> Judged:
    p, expected = fitted.predict(rows.x)
    return Judged(
        symbol=rows.symbol,
        as_of_us=rows.as_of_us,
        y=rows.y,
        p=p,
        baseline=np.tile(fitted.prior, (len(rows), 1)),
        expected=expected,
        forward_return=rows.forward_return,
    )


def _artifact(
    rows: TrainingTable,
    fold: Fold,
    recipe: Recipe,
    fitted: Fitted,
    threshold: float,
    found: dict[str, float | None],
    seed: int,
    code_revision: str,
    wheels: Mapping[str, str],
) -> Artifact:
    later = np.concatenate([fold.tune, fold.choose])
    known = rows.take(np.concatenate([fold.fit, later]))
    reference = tuple(_reference(column) for column in known.x.T)
    return with_version(
        Artifact(
            name=recipe.learner.name,
            version="",
            members=fitted.members,
            calibration=fitted.calibration,
            feature_set=rows.feature_set,
            feature_set_version=rows.feature_set_version,
            feature_names=rows.feature_names,
            sentiment_model=rows.sentiment_model,
            horizon=rows.rule.horizon,
            horizon_s=rows.rule.horizon_us / 1e6,
            threshold=threshold,
            trained_from_us=int(known.as_of_us[0]),
            trained_until_us=int(known.exit_us.max()),
            n_rows=len(known),
            reference=reference,
            prototypes=prototypes(rows.x[fold.fit], rows.x[later], reference),
            metrics=found,
            parameters=dict(recipe.parameters),
            code_revision=code_revision,
            wheels=dict(wheels),
            seed=seed,
        )
    )


def _reference(column: Floats) -> Reference:
    seen = column[~np.isnan(column)]
    quantiles = np.quantile(seen, [float(q) for q in QUANTILES]).tolist() if len(seen) else []
    return Reference(
        missing=1.0 - len(seen) / len(column),
        quantiles=dict(zip(QUANTILES, quantiles, strict=False)),
    )
