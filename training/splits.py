"""Splits by time, purged by each row's own label. Walk-forward: four blocks a fold.

    fold 1   fit ............ | tune ... | choose . | judge |
    fold 2   fit ................... | tune ... | choose . | judge |
    fold 3   fit .......................... | tune ... | choose . | judge |

`tune` stops the boosting and calibrates, `choose` sets the threshold, `judge` is only looked at.
Combinatorial splits train on both sides of what they test. `refuse_leaky` checks rows, whoever has
split them.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, pairwise
from math import comb
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from stream.events import moment
from stream.features.panes import DAY_US
from stream.features.vector import FeatureSet
from training.errors import TrainingRefused
from training.labels import Ints

Rows = npt.NDArray[np.intp]
_LEAST_SESSIONS_A_YEAR = 248  # of the NYSE since 1969: 2001


class Fold(NamedTuple):
    """Row numbers of each block."""

    fit: Rows
    tune: Rows
    choose: Rows
    judge: Rows


class Split(NamedTuple):
    """Row numbers; `tested` by the number of the block of time."""

    train: Rows
    tested: dict[int, Rows]

    @property
    def test(self) -> Rows:
        """All tested rows, in order."""
        return np.concatenate(list(self.tested.values()))


@dataclass(frozen=True)
class SplitRule:
    """Shares of the rows; the judge blocks of all folds are the last n_folds * judge of them."""

    n_folds: int = 3
    tune: float = 0.14
    choose: float = 0.08
    judge: float = 0.12


def walk_forward(
    as_of_us: Ints, exit_us: Ints, rule: SplitRule, embargo_us: int
) -> tuple[list[Fold], int]:
    """Folds, oldest first, and how many rows the purge took from the newest.

    A block ends where the next begins: a row whose label needs prices from after that moment
    less the embargo is in none. Rows of one as_of are never parted.

    Parameters
    ----------
    as_of_us : ascending.
    """
    n = len(as_of_us)
    folds = []
    for left in range(rule.n_folds, 0, -1):
        judge = 1.0 - left * rule.judge
        shares = (judge - rule.choose - rule.tune, judge - rule.choose, judge, judge + rule.judge)
        edges = [_edge(as_of_us, round(share * n)) for share in shares]
        folds.append(Fold(*_purged(as_of_us, exit_us, edges, embargo_us)))
    kept = sum(len(block) for block in folds[-1])
    return folds, n - kept


def combinatorial(
    as_of_us: Ints, exit_us: Ints, n_groups: int, n_test: int, embargo_us: int
) -> list[Split]:
    """Every choice of n_test of n_groups blocks of time to test on; the rest trains, purged.

        train ======= | test ------- ~~~~ embargo ===== | test ------- ~~~~ ======= train

    Of the train rows those go whose [as_of, exit] meets a tested block's, from its first as_of to
    its last exit and the embargo after it.

    Parameters
    ----------
    as_of_us : ascending.
    embargo_us : at least `longest_window_us` of the features, which look back into the test.

    Raises
    ------
    TrainingRefused
        A split is left without rows to train on or to test.
    """
    n = len(as_of_us)
    edges = [_edge(as_of_us, round(i * n / n_groups)) for i in range(n_groups + 1)]
    groups = [np.arange(begin, end) for begin, end in pairwise(edges)]
    found = []
    for chosen in combinations(range(n_groups), n_test):
        kept = np.ones(n, dtype=bool)
        for rows in (groups[each] for each in chosen):
            if len(rows):
                over = exit_us[rows].max() + embargo_us
                kept &= (exit_us <= as_of_us[rows[0]]) | (as_of_us >= over)
                kept[rows] = False
        split = Split(np.flatnonzero(kept), {group: groups[group] for group in chosen})
        if not len(split.train) or not len(split.test):
            raise TrainingRefused(
                f"split that tests groups {', '.join(map(str, chosen))} of {n_groups}: expected "
                f"rows to train and to test, got {len(split.train):,} and {len(split.test):,} "
                f"after an embargo of {embargo_us / DAY_US:.1f} days; load more history"
            )
        found.append(split)
    return found


def backtest_paths(n_groups: int, n_test: int) -> npt.NDArray[np.int64]:
    """Which split predicts each group: (paths, n_groups) indices into `combinatorial`'s list.

    A path tests every group once; each prediction is in one path.
    """
    chosen = list(combinations(range(n_groups), n_test))
    paths = np.empty((comb(n_groups - 1, n_test - 1), n_groups), dtype=np.int64)
    for group in range(n_groups):
        paths[:, group] = [i for i, groups in enumerate(chosen) if group in groups]
    return paths


def longest_window_us(features: FeatureSet) -> int:
    """How far back a vector looks; sessions as if there were few of them in a year."""
    sessions = max(features.sessions_kept, features.panes_kept or 0)
    year = 365 * DAY_US
    return max(
        features.pane_window_us or 0,
        features.news_window.us,
        sessions * year // _LEAST_SESSIONS_A_YEAR,
    )


def refuse_leaky(
    train: Rows, test: Rows, as_of_us: Ints, exit_us: Ints, embargo_us: int = 0
) -> None:
    """Check rows that were not split here, in any order; random and stratified ones do not pass.

    Raises
    ------
    TrainingRefused
        The [as_of, exit] of a train row meets that of a test row, or begins within the embargo
        after it; the message names the first such pair.
    """
    by_time = test[np.argsort(as_of_us[test], kind="stable")]
    begins, overs = as_of_us[by_time], exit_us[by_time] + embargo_us
    # Of the test rows that begin before a train row's exit, the last one to be over.
    latest = np.maximum.accumulate(np.append(np.iinfo(np.int64).min, overs))
    before = np.searchsorted(begins, exit_us[train])
    leaks = latest[before] > as_of_us[train]
    if not leaks.any():
        return
    first = train[leaks][np.argmin(as_of_us[train][leaks])]
    met = by_time[(begins < exit_us[first]) & (overs > as_of_us[first])][0]
    raise TrainingRefused(
        f"split: expected train rows whose [as_of, exit] meets no test row's, with an embargo of "
        f"{embargo_us / 1e6:g} s after it; {int(leaks.sum()):,} of {len(train):,} do: row {first} "
        f"({_span(first, as_of_us, exit_us)}) meets test row {met} "
        f"({_span(met, as_of_us, exit_us)}); split by time and purge, as walk_forward does"
    )


def _purged(as_of_us: Ints, exit_us: Ints, edges: list[int], embargo_us: int) -> list[Rows]:
    """The blocks that end at the edges; but for the last, less what reaches into the next one."""
    blocks = [np.arange(begin, end) for begin, end in pairwise([0, *edges])]
    for i, end in enumerate(edges[:-1]):
        if end < len(as_of_us):
            blocks[i] = blocks[i][exit_us[blocks[i]] + embargo_us <= as_of_us[end]]
    return blocks


def _span(row: int, as_of_us: Ints, exit_us: Ints) -> str:
    return " to ".join(f"{moment(int(at[row])):%Y-%m-%d %H:%M:%S}" for at in (as_of_us, exit_us))


def _edge(as_of_us: Ints, row: int) -> int:
    """The first row of the as_of that `row` has."""
    if row <= 0 or row >= len(as_of_us):
        return min(max(row, 0), len(as_of_us))
    return int(np.searchsorted(as_of_us, as_of_us[row]))
