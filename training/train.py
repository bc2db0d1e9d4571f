"""From a training table to an artifact and its verdict. Pure: seeds and threads are arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal, NamedTuple

import lightgbm
import numpy as np

from models.artifact import Artifact, Calibration, Member, Reference, with_version
from training.calibrate import choose_threshold, fit_scale, fit_slope, shrink
from training.errors import TrainingRefused
from training.evaluate import Judged, metrics
from training.fingerprint import fingerprint
from training.gates import MIN_ROWS, Verdict, judge
from training.labels import Floats, Ints
from training.rows import TrainingTable
from training.splits import Fold, SplitRule, walk_forward
from training.weights import uniqueness

NAME = "lightgbm"
QUANTILES = ("0.001", "0.01", "0.1", "0.5", "0.9", "0.99", "0.999")
# Small trees, few of them: markets are noisy, and 3 x 150 trees of 7 leaves score in 20 us.
MAX_ROUNDS = 150
STOP_AFTER = 20
# Weights count independent outcomes (`uniqueness`), so the least hessian of a leaf does too: about
# 15 of them for a class, 20 for a return. Random split points keep slow features, which name a
# day rather than say something of it, from being fitted.
_PARAMETERS: Mapping[str, Any] = {
    "learning_rate": 0.05,
    "num_leaves": 7,
    "max_bin": 127,
    "min_data_in_leaf": 20,
    "lambda_l2": 10.0,
    "extra_trees": True,
    "feature_fraction_bynode": 0.5,
    "deterministic": True,
    "force_row_wise": True,
    "verbose": -1,
}
_DIRECTION = {"objective": "multiclass", "num_class": 3, "min_sum_hessian_in_leaf": 5.0}
_RETURN = {"objective": "regression", "min_sum_hessian_in_leaf": 20.0}
_CLIP = 0.005  # of the returns at each end, before the expected return is fitted

Progress = Callable[[str, float], None]


class Block(NamedTuple):
    """x : (n, f), NaN is missing. target : classes, or returns in basis points."""

    x: Floats
    target: Floats | Ints
    weight: Floats
    feature_names: tuple[str, ...]


# LightGBM's parameters, fit rows, tune rows: trees with the rounds that are best on the latter.
Boost = Callable[[Mapping[str, Any], Block, Block], lightgbm.Booster]


class Fitted(NamedTuple):
    """What one fold's fit, tune and choose blocks gave."""

    direction: lightgbm.Booster
    expected: lightgbm.Booster
    prior: Floats
    scale: float
    slope: float
    threshold: float
    threshold_found: bool


class Trained(NamedTuple):
    """The newest fold's artifact, judged on the judge blocks of all folds."""

    artifact: Artifact
    verdict: Verdict
    judged: Judged


def train_model(
    rows: TrainingTable,
    *,
    seed: int,
    num_threads: int = 2,
    boost: Boost | None = None,
    code_revision: str = "unknown",
    wheels: Mapping[str, str] | None = None,
    split: SplitRule | None = None,
    progress: Progress = lambda step, share: None,
) -> Trained:
    """Train on every fold, judge all of them together, keep the newest.

    Parameters
    ----------
    boost : how trees are grown; None: here, by `num_threads`.

    Raises
    ------
    TrainingRefused
        There is nothing to learn from: too few rows, one class, or no feature that varies.
    """
    _check(rows)
    folds, purged = walk_forward(
        rows.as_of_us, rows.exit_us, split or SplitRule(), embargo_us=rows.rule.horizon_us
    )
    parts = []
    for i, fold in enumerate(folds):
        progress(f"fold {i + 1} of {len(folds)}", i / len(folds))
        _check_fold(rows, fold)
        fitted = _fit(rows, fold, seed, boost or partial(_boost, num_threads=num_threads))
        parts.append(_judged(rows.take(fold.judge), fitted))
    progress("judging", 1.0)
    judged = Judged.joined(parts)
    verdict = judge(judged, len(rows), fitted.threshold_found, seed=seed)
    found = metrics(judged) | {"n_purged": float(purged), "scale": fitted.scale}
    known = rows.take(np.concatenate([fold.fit, fold.tune, fold.choose]))
    return Trained(
        _artifact(rows, known, fitted, found, seed, code_revision, wheels or {}), verdict, judged
    )


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


def _fit(rows: TrainingTable, fold: Fold, seed: int, boost: Boost) -> Fitted:
    fit, tune, choose = rows.take(fold.fit), rows.take(fold.tune), rows.take(fold.choose)
    prior = np.bincount(fit.y, minlength=3) / len(fit)
    direction = boost(_parameters(_DIRECTION, seed), _block(fit, fit.y), _block(tune, tune.y))
    low, high = np.quantile(fit.forward_return, [_CLIP, 1.0 - _CLIP])
    fit_bps, tune_bps = (1e4 * np.clip(part.forward_return, low, high) for part in (fit, tune))
    expected = boost(_parameters(_RETURN, seed), _block(fit, fit_bps), _block(tune, tune_bps))
    scale = fit_scale(direction.predict(tune.x, raw_score=True), tune.y, prior)
    slope = fit_slope(expected.predict(tune.x), tune_bps)
    p = shrink(direction.predict(choose.x, raw_score=True), prior, scale)
    threshold, found = choose_threshold(p, choose.forward_return, choose.cost)
    return Fitted(direction, expected, prior, scale, slope, threshold, found)


def _parameters(objective: Mapping[str, Any], seed: int) -> dict[str, Any]:
    return {**_PARAMETERS, **objective, "seed": seed}


def _block(rows: TrainingTable, target: Floats | Ints) -> Block:
    return Block(rows.x, target, uniqueness(rows), rows.feature_names)


def _boost(
    parameters: Mapping[str, Any], fit: Block, tune: Block, *, num_threads: int
) -> lightgbm.Booster:
    names = list(fit.feature_names)
    data = lightgbm.Dataset(fit.x, fit.target, weight=fit.weight, feature_name=names)
    held_out = lightgbm.Dataset(tune.x, tune.target, weight=tune.weight, reference=data)
    booster = lightgbm.train(
        {**parameters, "num_threads": num_threads},
        data,
        MAX_ROUNDS,
        valid_sets=[held_out],
        callbacks=[lightgbm.early_stopping(STOP_AFTER, verbose=False)],
    )
    # The text holds the rounds up to the best one, as serving will.
    text = booster.model_to_string(num_iteration=booster.best_iteration)
    return lightgbm.Booster(model_str=text)


def _judged(rows: TrainingTable, fitted: Fitted) -> Judged:
    return Judged(
        symbol=rows.symbol,
        as_of_us=rows.as_of_us,
        y=rows.y,
        p=shrink(fitted.direction.predict(rows.x, raw_score=True), fitted.prior, fitted.scale),
        baseline=np.tile(fitted.prior, (len(rows), 1)),
        expected=fitted.slope * fitted.expected.predict(rows.x),
        forward_return=rows.forward_return,
    )


def _artifact(
    rows: TrainingTable,
    known: TrainingTable,
    fitted: Fitted,
    found: dict[str, float | None],
    seed: int,
    code_revision: str,
    wheels: Mapping[str, str],
) -> Artifact:
    offsets = ((1.0 - fitted.scale) * np.log(fitted.prior)).tolist()
    return with_version(
        Artifact(
            name=NAME,
            version="",
            members=(
                Member(
                    role="direction", format="lightgbm", text=fitted.direction.model_to_string()
                ),
                Member(role="return", format="lightgbm", text=fitted.expected.model_to_string()),
            ),
            calibration=Calibration(
                scale=fitted.scale,
                offsets=(offsets[0], offsets[1], offsets[2]),
                return_scale=fitted.slope,
            ),
            feature_set=rows.feature_set,
            feature_set_version=rows.feature_set_version,
            feature_names=rows.feature_names,
            sentiment_model=rows.sentiment_model,
            horizon=rows.rule.horizon,
            horizon_s=rows.rule.horizon_us / 1e6,
            threshold=fitted.threshold,
            trained_from_us=int(known.as_of_us[0]),
            trained_until_us=int(known.exit_us.max()),
            n_rows=len(known),
            reference=tuple(_reference(column) for column in known.x.T),
            metrics=found,
            code_revision=code_revision,
            wheels=dict(wheels),
            seed=seed,
            hyperparameters=dict(_PARAMETERS),
            data_fingerprint=fingerprint(rows),
        )
    )


def _member(role: Literal["direction", "return"], booster: lightgbm.Booster) -> Member:
    return Member(role=role, format="lightgbm", text=booster.model_to_string())


def _reference(column: Floats) -> Reference:
    seen = column[~np.isnan(column)]
    quantiles = np.quantile(seen, [float(q) for q in QUANTILES]).tolist() if len(seen) else []
    return Reference(
        missing=1.0 - len(seen) / len(column),
        quantiles=dict(zip(QUANTILES, quantiles, strict=False)),
    )
