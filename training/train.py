"""From a training table to an artifact and its verdict. Pure: seeds and threads are arguments."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from models.artifact import CLASSES, Artifact, Reference, with_version
from models.scorer import Scorer
from models.unit import Target
from stream.features.sequence import CHANNELS
from training.ablation import BOTH, PRICES, Ablation, ablation, others, priced
from training.as_served import SHARE, newer
from training.by_sector import fit_by_sector
from training.errors import TrainingRefused
from training.fingerprint import fingerprint
from training.fit import Fitted, judged_rows, threshold_of
from training.gates import Check, Gates, Verdict
from training.judge import judge
from training.judged import Judged, metrics
from training.labels import Floats
from training.learners.categories import categories
from training.learners.learner import Learner
from training.learners.lightgbm import LightGBM
from training.learners.recipe import Recipe
from training.prototypes import prototypes
from training.rows import TrainingTable
from training.splits import Fold, SplitRule, refuse_leaky, walk_forward
from training.targets import unit_of, without_market

QUANTILES = ("0.001", "0.01", "0.1", "0.5", "0.9", "0.99", "0.999")

Progress = Callable[[str, float], None]

# From a fold's fit rows, its number and the number of folds: how to fit it, and after how many
# trials that was chosen.
Chooser = Callable[[TrainingTable, int, int], tuple[Recipe, int]]


def untuned(learner: Learner, target: Target = "raw", *, per_sector: bool = False) -> Chooser:
    """The learner as it is, in every fold."""
    recipe = Recipe(learner, target=target, per_sector=per_sector)
    return lambda fit, fold, n_folds: (recipe, 0)


class Trained(NamedTuple):
    """The newest fold's artifact, judged on the judge blocks of all folds.

    recipe : how the newest fold was fitted. ablation : where it was asked for and there was news.
    fits : how often a model was fitted.
    """

    artifact: Artifact
    verdict: Verdict
    judged: Judged
    recipe: Recipe
    ablation: Ablation | None
    fits: int


def train_model(
    rows: TrainingTable,
    *,
    seed: int,
    chooser: Chooser = untuned(LightGBM()),  # noqa: B008 - frozen
    gates: Gates = Gates(),  # noqa: B008 - frozen
    news_names: Collection[str] = (),
    champion: Scorer | None = None,
    quality: Sequence[Check] = (),
    accepted: str | None = None,
    ablate: bool = False,
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
    news_names : the features that news changes; a model without them is a rival.
    champion : another rival, on the judged rows that are newer than what it learnt from.
    quality, accepted : as `judge` takes them.
    ablate : whether to fit the other variants of the ablation too.

    Raises
    ------
    TrainingRefused
        There is nothing to learn from: too few rows, one class, or no feature that varies.
    """
    _check(rows, gates)
    folds, purged = walk_forward(
        rows.as_of_us, rows.exit_us, split or SplitRule(), embargo_us=rows.rule.horizon_us
    )
    tables = {BOTH: rows}
    prices = priced(rows, news_names)
    if prices is not None:
        tables[PRICES] = prices
        if ablate:
            tables |= others(rows, news_names, seed)
    parts: dict[str, list[Judged]] = {name: [] for name in tables}
    models: dict[str, Fitted] = {}
    n_trials, n_fits = 0, len(folds) * len(tables)
    for i, fold in enumerate(folds):
        _check_fold(rows, fold)
        known = np.concatenate([fold.fit, fold.tune, fold.choose])
        refuse_leaky(known, fold.judge, rows.as_of_us, rows.exit_us)
        recipe, n = chooser(rows.take(fold.fit), i, len(folds))
        n_trials += n
        for j, (name, table) in enumerate(tables.items()):
            label = f"fold {i + 1}"
            progress(f"{label} of {len(folds)}: {name}", (i * len(tables) + j) / n_fits)
            models[name] = fit_by_sector(
                table.take(fold.fit), table.take(fold.tune), recipe,
                label=label, seed=seed, num_threads=num_threads,
            )  # fmt: skip
            n_trials += models[name].n_tried
            parts[name].append(judged_rows(models[name], table, fold.judge, i))
    newest = models[BOTH]
    threshold = threshold_of(newest, rows.take(fold.choose))
    progress("judging", 1.0)
    found = {name: Judged.joined(each) for name, each in parts.items()}
    judged = found[BOTH]
    if prices is not None:
        judged = replace(judged, price_only=found[PRICES].p)
    if champion is not None:
        judged = replace(judged, champion=newer(champion, rows, judged.row))
    verdict = judge(
        judged,
        rows.rule,
        gates,
        n_rows=len(rows),
        threshold_found=threshold.pays,
        quality=quality,
        beside_champion=champion is not None,
        accepted=accepted,
        seed=seed,
    )
    numbers = metrics(judged, rows.rule) | {
        "n_purged": float(purged),
        "n_trials": float(n_trials),
        "scale": newest.calibration.scale,
        "calibration_days": newest.n_days,
        "coverage": threshold.coverage,
    }
    numbers |= without_market(recipe.target, rows)
    numbers |= newest.found
    numbers |= {SHARE.format(name): float(p) for name, p in zip(CLASSES, newest.prior, strict=True)}
    artifact = _artifact(
        rows, fold, recipe, newest, threshold.confidence, numbers, seed, code_revision,
        wheels or {},
    )  # fmt: skip
    helps = ablation(found, rows.rule, seed) if prices is not None and ablate else None
    return Trained(artifact, verdict, judged, recipe, helps, n_fits + n_trials)


def _check(rows: TrainingTable, gates: Gates) -> None:
    if len(rows) < gates.min_rows:
        left = ", ".join(f"{count:,} {reason}" for reason, count in rows.counts.items())
        raise TrainingRefused(
            f"expected at least {gates.min_rows:,} labelled rows, got {len(rows):,}"
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
    reference = tuple(map(_reference, rows.feature_names, known.x.T))
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
            data_fingerprint=fingerprint(rows),
            channels=CHANNELS if recipe.learner.reads_sequence else (),
            code_revision=code_revision,
            wheels=dict(wheels),
            seed=seed,
            target=recipe.target,
            unit=unit_of(recipe.target, rows.rule),
        )
    )


def _reference(name: str, column: Floats) -> Reference:
    seen = column[~np.isnan(column)]
    ordered = len(seen) and not categories([name])
    quantiles = np.quantile(seen, [float(q) for q in QUANTILES]).tolist() if ordered else []
    return Reference(
        missing=1.0 - len(seen) / len(column),
        quantiles=dict(zip(QUANTILES, quantiles, strict=False)),
    )
