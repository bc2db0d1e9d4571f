"""A model of its own for each sector in which it beats the one of all sectors.

    the fold's fit rows    fit ...... | tune | judge |
                           fit .............. | tune | judge |
                           fit ...................... | tune | judge |

In these inner folds both are fitted, and each session of the inner judge blocks says how much
log-loss the sector's rows gain by their own model. It speaks for the sector when the mean gain is
above zero at 5 %, one-sided, shared by all sectors that were tried (Bonferroni), by Newey and
West's t over at least LEAST_SESSIONS sessions. All others stay with the pooled model, and so do
rows without a sector.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isnan
from typing import NamedTuple

import msgspec
import numpy as np
from scipy.stats import t as student_t

from models.artifact import Member, Scope
from stream.features.sector import SECTOR, sector_name
from training.evaluate import log_losses
from training.fit import Fitted, fit_fold, read
from training.labels import Floats
from training.learners.recipe import Recipe
from training.rows import TrainingTable
from training.skill import horizon_sessions, newey_west_t, session_means
from training.splits import SplitRule, walk_forward
from training.targets import foreseen

INNER = SplitRule(n_folds=3, tune=0.14, choose=0.0, judge=0.14)
LEVEL = 0.05
LEAST_SESSIONS = 20
LEAST_ROWS = 200  # of a sector, to fit; a quarter of that to stop the boosting


class Trial(NamedTuple):
    """A sector's own model against the pooled one. gain : mean log-loss of a session; t : its."""

    code: float
    gain: float
    t: float
    needed: float

    @property
    def wins(self) -> bool:
        """Whether its own model speaks for the sector; not where t is not defined."""
        return self.t > self.needed


def fit_by_sector(
    fit: TrainingTable,
    tune: TrainingTable,
    recipe: Recipe,
    *,
    label: str,
    seed: int,
    num_threads: int,
) -> Fitted:
    """As `fit_fold`, and where the recipe asks for it with the sectors' own models that win.

    Raises
    ------
    TrainingRefused
        As `fit_fold`.
    """
    fitting = _Fitting(recipe, label, seed, num_threads)
    pooled = fitting.fitted(fit, tune)
    if not recipe.per_sector or SECTOR not in fit.feature_names:
        return pooled
    trials = fitting.trials(fit)
    winners = [each.code for each in trials if each.wins and fitting.enough(fit, tune, each.code)]
    own = [member for code in winners for member in fitting.own(fit, tune, code)]
    members = (*pooled.members, *own)
    together = read(members, fit, tune, recipe.target) if own else pooled
    found = {"sectors_tried": float(len(trials)), "sectors_won": float(len(winners))}
    return together._replace(n_tried=len(trials), found=found | _told(trials))


class _Fitting(NamedTuple):
    """How every model of the fold is fitted."""

    recipe: Recipe
    label: str
    seed: int
    num_threads: int

    def fitted(self, fit: TrainingTable, tune: TrainingTable) -> Fitted:
        return fit_fold(
            fit, tune, self.recipe,
            label=self.label, seed=self.seed, num_threads=self.num_threads,
        )  # fmt: skip

    def own(self, fit: TrainingTable, tune: TrainingTable, code: float) -> Iterator[Member]:
        """The sector's own members, which speak for it alone."""
        scope = Scope(feature=fit.feature_names.index(SECTOR), values=(code,))
        for member in self.fitted(_of(fit, code), _of(tune, code)).members:
            yield msgspec.structs.replace(member, scope=scope)

    def enough(self, fit: TrainingTable, tune: TrainingTable, code: float) -> bool:
        """Whether the sector has the rows to be fitted by itself, of every class."""
        for rows, least in ((_of(fit, code), LEAST_ROWS), (_of(tune, code), LEAST_ROWS // 4)):
            n_known = np.isfinite(foreseen(self.recipe.target, rows)).sum()
            if n_known < least or len(np.unique(rows.y)) < 3:
                return False
        return True

    def trials(self, rows: TrainingTable) -> list[Trial]:
        """Each sector that has the rows to be tried, by code."""
        folds, _ = walk_forward(rows.as_of_us, rows.exit_us, INNER, embargo_us=rows.rule.horizon_us)
        inner = [[rows.take(each) for each in (fold.fit, fold.tune, fold.judge)] for fold in folds]
        codes = np.unique(_codes(rows))
        known = codes[~np.isnan(codes)].tolist()
        tried = [
            code for code in known
            if all(
                self.enough(fit, tune, code) and len(_of(judge, code))
                for fit, tune, judge in inner
            )
        ]  # fmt: skip
        gains: dict[float, list[Floats]] = {code: [] for code in tried}
        for fit, tune, judge in inner if tried else ():
            pooled = self.fitted(fit, tune)
            for code in tried:
                asked = _of(judge, code)
                members = (*pooled.members, *self.own(fit, tune, code))
                own = read(members, fit, tune, self.recipe.target)
                lost = [log_losses(each.predict(asked)[0], asked.y) for each in (pooled, own)]
                gains[code].append(session_means(lost[0] - lost[1], asked.entry_us))
        horizon = horizon_sessions(rows.rule)
        return [_trial(code, np.concatenate(gains[code]), horizon, len(tried)) for code in tried]


def _trial(code: float, gains: Floats, horizon: int, n_tried: int) -> Trial:
    t, n = newey_west_t(gains, horizon), len(gains)
    enough = n >= LEAST_SESSIONS
    needed = float(student_t.ppf(1.0 - LEVEL / n_tried, n - 1)) if enough else float("inf")
    return Trial(code, float(gains.mean()), t, needed)


def _told(trials: Sequence[Trial]) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for code, gain, t, _ in trials:
        name = sector_name(code).lower().replace(" ", "_")
        found[f"own_model_gain_{name}"] = gain
        found[f"own_model_t_{name}"] = None if isnan(t) else t
    return found


def _of(rows: TrainingTable, code: float) -> TrainingTable:
    return rows.take(np.flatnonzero(_codes(rows) == code))


def _codes(rows: TrainingTable) -> Floats:
    codes: Floats = rows.x[:, rows.feature_names.index(SECTOR)]
    return codes
