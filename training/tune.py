"""Tuning: which parameters predict later blocks of a fold's own fit rows best.

    outer fold   fit .............................. | tune | choose | judge |
    inner folds  fit ...... | tune | . | judge |
                 fit .............. | tune | . | judge |
                 fit ...................... | tune | . | judge |

Only the fit rows come here, so no choice can lean on a row that stops, calibrates or judges. The
trials are kept in a file: a run that was stopped goes on there, and with no time left the best of
them are simply used again, which is what makes a budget in minutes repeatable.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from training.errors import TrainingRefused
from training.evaluate import log_losses
from training.fingerprint import fingerprint
from training.fit import fit_fold
from training.learners.recipe import Recipe
from training.rows import TrainingTable
from training.splits import Fold, SplitRule, walk_forward
from training.weights import uniqueness

INNER = SplitRule(n_folds=3, tune=0.14, choose=0.02, judge=0.14)
PATIENCE = 60  # trials without a better one
_BLIND = 5  # trials that are never pruned: the median needs some


@dataclass(frozen=True)
class Tuning:
    """What tunes the folds of one training.

    spent : share of the time that is used up, 1 or more when it is over; each fold may use its
        part. A clock is the caller's.
    resume : go on with the trials in the file that saw the same rows; else they are dropped.
    told : hears of each trial: fold, trials so far, and the best gain of log-loss on climatology.
    """

    recipe: Recipe
    path: Path
    spent: Callable[[], float]
    resume: bool
    seed: int
    num_threads: int = 2
    told: Callable[[int, int, float], None] = lambda fold, n, best: None

    def __call__(self, rows: TrainingTable, fold: int, n_folds: int) -> tuple[Recipe, int]:
        """The best parameters for these fit rows, and the trials it took.

        Raises
        ------
        TrainingRefused
            Not even the first parameters, the learner's own, can be fitted.
        """
        study = self._study(rows, fold)
        inner, _ = walk_forward(rows.as_of_us, rows.exit_us, INNER, embargo_us=rows.rule.horizon_us)
        if not _finished(study):
            study.enqueue_trial(dict(self.recipe.parameters))
        while self.spent() < (fold + 1) / n_folds and not _settled(study):
            self._try(study, rows, inner)
            self.told(fold, len(study.trials), -study.best_value)
        if not _finished(study):
            return self.recipe, 0
        return self.recipe.changed(study.best_params), len(study.trials)

    def _try(self, study: optuna.Study, rows: TrainingTable, inner: list[Fold]) -> None:
        trial = study.ask()
        recipe = self.recipe.changed(suggested(trial, self.recipe))
        losses = []
        try:
            for i, fold in enumerate(inner):
                losses.append(self._loss(recipe, rows, fold, f"inner fold {i + 1}"))
                trial.report(float(np.mean(losses)), i)
                if i + 1 < len(inner) and trial.should_prune():
                    study.tell(trial, state=TrialState.PRUNED)
                    return
        except TrainingRefused:
            study.tell(trial, state=TrialState.FAIL)
            if not _finished(study):
                raise
            return
        study.tell(trial, float(np.mean(losses)))

    def _loss(self, recipe: Recipe, rows: TrainingTable, fold: Fold, label: str) -> float:
        """Mean log-loss less climatology's, of independent outcomes."""
        fit, judge = rows.take(fold.fit), rows.take(fold.judge)
        if not len(judge) or np.bincount(fit.y, minlength=3).min() == 0:
            raise TrainingRefused(f"{label}: expected rows of every class; tune on more history")
        fitted = fit_fold(
            fit, rows.take(fold.tune), recipe,
            label=label, seed=self.seed, num_threads=self.num_threads,
        )  # fmt: skip
        p, _ = fitted.predict(judge)
        climatology = np.tile(fitted.prior, (len(judge), 1))
        gained = log_losses(p, judge.y) - log_losses(climatology, judge.y)
        return float(np.average(gained, weights=uniqueness(judge)))

    def _study(self, rows: TrainingTable, fold: int) -> optuna.Study:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        name = (
            f"{self.recipe.learner.name} {self.recipe.target} fold {fold + 1} "
            f"{fingerprint(rows)[:16]} {self.seed}"
        )
        storage = JournalStorage(JournalFileBackend(str(self.path)))
        if not self.resume and name in optuna.get_all_study_names(storage):
            optuna.delete_study(study_name=name, storage=storage)
        study = optuna.create_study(
            study_name=name,
            storage=storage,
            load_if_exists=True,
            pruner=optuna.pruners.MedianPruner(n_startup_trials=_BLIND),
        )
        # A sampler with the same seed would repeat its first draws.
        study.sampler = optuna.samplers.TPESampler(seed=self.seed + len(study.trials))
        return study


def suggested(trial: optuna.Trial, recipe: Recipe) -> dict[str, float]:
    """A value of each parameter of the recipe's space."""
    found: dict[str, float] = {}
    for name, span in recipe.space.items():
        whole = isinstance(span.low, int) and isinstance(span.high, int)
        suggest = trial.suggest_int if whole else trial.suggest_float
        found[name] = suggest(name, span.low, span.high, log=span.log)
    return found


def _finished(study: optuna.Study) -> bool:
    return bool(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))


def _settled(study: optuna.Study) -> bool:
    if not _finished(study):
        return False
    since_best: int = len(study.trials) - study.best_trial.number
    return since_best > PATIENCE
