"""Blocks of articles by time, between which neither a label nor a story reaches.

    fold 1   fit ............ | tune ... | judge |
    fold 2   fit ................... | tune ... | judge |

`tune` chooses the epoch and calibrates. Rows are purged by their own labels as everywhere, and one
of `tune` or `judge` whose story was first told before its block began is in none: re-prints of what
was learnt are no evidence.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from training.errors import TrainingRefused
from training.labels import Ints
from training.sentiment.reactions import Reactions
from training.splits import Fold, Rows, SplitRule, refuse_leaky, walk_forward

SPLIT = SplitRule(n_folds=2, tune=0.14, choose=0.0, judge=0.15)


class Blocks(NamedTuple):
    """Folds, and how many rows of the newest the purge and told stories took."""

    folds: list[Fold]
    purged: int
    told_before: int


def purged_blocks(found: Reactions, split: SplitRule) -> Blocks:
    """Walk-forward folds without labels or stories that reach from one block into the next."""
    rows = found.rows
    folds, purged = walk_forward(
        rows.as_of_us, rows.exit_us, split, embargo_us=rows.rule.horizon_us
    )
    clean = [
        fold._replace(tune=_new(fold.tune, found.story), judge=_new(fold.judge, found.story))
        for fold in folds
    ]
    before, after = (sum(map(len, each[-1])) for each in (folds, clean))
    return Blocks(clean, purged, before - after)


def check_fold(found: Reactions, fold: Fold) -> None:
    """Raises TrainingRefused for a block that lacks a class, or rows that leak into `judge`."""
    for name, block in (("fit", fold.fit), ("tune", fold.tune), ("judge", fold.judge)):
        counts = np.bincount(found.y[block], minlength=3)
        if counts.min() == 0:
            raise TrainingRefused(
                f"block {name!r}: expected bearish, neutral and bullish articles, got "
                f"{counts[0]}, {counts[1]} and {counts[2]} of them; load more history"
            )
    known = np.concatenate([fold.fit, fold.tune])
    refuse_leaky(known, fold.judge, found.rows.as_of_us, found.rows.exit_us)


def _new(rows: Rows, story: Ints) -> Rows:
    """Those of a block whose story began in it."""
    return rows[story[rows] >= rows[0]] if len(rows) else rows
