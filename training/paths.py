"""Other histories that could have been judged: combinatorial purged cross-validation.

    6 blocks of time, every 2 of them tested once: 15 fits, and 5 paths that test each block once

One walk forward is one draw; the paths say how much of a result hangs on which years it was judged
in. See Lopez de Prado, Advances in Financial Machine Learning, chapter 12.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from training.by_sector import fit_by_sector
from training.evaluate import log_losses
from training.fit import judged_rows
from training.judged import Judged, session_returns
from training.label_rules import LabelRule
from training.learners.recipe import Recipe
from training.rows import TrainingTable
from training.skill import horizon_sessions, session_ics, session_means, sharpe
from training.splits import Rows, backtest_paths, combinatorial

_TUNE = 0.15  # of the train rows, the newest: they stop the boosting and calibrate


class Path(msgspec.Struct, frozen=True):
    """One walk over all blocks. gained: mean log-loss of a session gained on climatology."""

    gained: float
    daily_ic: float
    sharpe: float


def walked(
    rows: TrainingTable,
    recipe: Recipe,
    n_groups: int,
    n_test: int,
    *,
    embargo_us: int,
    seed: int,
    num_threads: int,
    progress: Callable[[str, float], None] = lambda step, share: None,
) -> tuple[Path, ...]:
    """Fit on every purged split and judge each path.

    Parameters
    ----------
    recipe : for all splits. One that was tuned has seen blocks that are tested here.
    n_groups, n_test : blocks of time, and how many of them each split tests.
    embargo_us : after each tested block; at least the features' longest window.

    Raises
    ------
    TrainingRefused
        A split is left without rows, or a fit fails.
    """
    splits = combinatorial(rows.as_of_us, rows.exit_us, n_groups, n_test, embargo_us)
    tested: list[dict[int, Judged]] = []
    for i, split in enumerate(splits):
        progress(f"split {i + 1} of {len(splits)}", i / len(splits))
        fit, tune = _parted(rows, split.train)
        fitted = fit_by_sector(
            rows.take(fit), rows.take(tune), recipe,
            label=f"split {i + 1}", seed=seed, num_threads=num_threads,
        )  # fmt: skip
        tested.append(
            {group: judged_rows(fitted, rows, block, i) for group, block in split.tested.items()}
        )
    return tuple(
        _path(Judged.joined([tested[i][group] for group, i in enumerate(path)]), rows.rule)
        for path in backtest_paths(n_groups, n_test).tolist()
    )


def _parted(rows: TrainingTable, train: Rows) -> tuple[Rows, Rows]:
    """The older train rows whose labels are known before the newer ones begin; those."""
    cut = round((1.0 - _TUNE) * len(train))
    older, newer = train[:cut], train[cut:]
    return older[rows.exit_us[older] <= rows.as_of_us[newer[0]]], newer


def _path(judged: Judged, rule: LabelRule) -> Path:
    gained = log_losses(judged.baseline, judged.y) - log_losses(judged.p, judged.y)
    return Path(
        float(session_means(gained, judged.entry_us).mean()),
        float(session_ics(judged.score, judged.forward_return, judged.entry_us).mean()),
        sharpe(session_returns(judged), horizon_sessions(rule)),
    )
