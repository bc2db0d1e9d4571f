"""Walk-forward splits: four blocks in time order, purged by each row's own label.

    fold 1   fit ............ | tune ... | choose . | judge |
    fold 2   fit ................... | tune ... | choose . | judge |
    fold 3   fit .......................... | tune ... | choose . | judge |

`tune` stops the boosting and calibrates, `choose` sets the threshold, `judge` is only looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from training.labels import Ints

Rows = npt.NDArray[np.intp]


class Fold(NamedTuple):
    """Row numbers of each block."""

    fit: Rows
    tune: Rows
    choose: Rows
    judge: Rows


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

    A block ends where the next begins: a row whose label needs prices from after that moment less
    the embargo is in none. Rows of one as_of are never parted.

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
        begins = [0, *edges[:-1]]
        blocks = []
        for begin, end in zip(begins, edges, strict=True):
            rows = np.arange(begin, end)
            if end < n:
                rows = rows[exit_us[begin:end] + embargo_us <= as_of_us[end]]
            blocks.append(rows)
        folds.append(Fold(*blocks))
    kept = sum(len(block) for block in folds[-1])
    return folds, n - kept


def _edge(as_of_us: Ints, row: int) -> int:
    """The first row at or after `row` that begins a new as_of."""
    if row <= 0 or row >= len(as_of_us):
        return min(max(row, 0), len(as_of_us))
    return int(np.searchsorted(as_of_us, as_of_us[row]))
