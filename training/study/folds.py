"""Folds of a study: walked forward, purged, and checked once more."""

from __future__ import annotations

import numpy as np

from training.errors import TrainingRefused
from training.labels import Ints
from training.splits import Fold, SplitRule, refuse_leaky, walk_forward

MIN_FIT = 100  # rows
MIN_HELD_OUT = 20  # rows, of the block that tunes and of the one that is judged


def checked_folds(as_of_us: Ints, exit_us: Ints, rule: SplitRule, what: str) -> list[Fold]:
    """Walk-forward folds whose rows are known before the next block begins.

    Parameters
    ----------
    as_of_us : ascending.
    exit_us : of the longest label that a row's target is made of.
    what : the rows, for messages.

    Raises
    ------
    TrainingRefused
        A block is left with too few rows.
    """
    folds, _ = walk_forward(as_of_us, exit_us, rule, embargo_us=0)
    for i, fold in enumerate(folds):
        blocks = {"fit": MIN_FIT, "tune": MIN_HELD_OUT, "judge": MIN_HELD_OUT}
        for name, least in blocks.items():
            n = len(getattr(fold, name))
            if n < least:
                raise TrainingRefused(
                    f"{what}, fold {i + 1} of {len(folds)}, block {name!r}: expected at least "
                    f"{least} rows, got {n} of {len(as_of_us):,} after the purge; the history is "
                    "short against the labels: load more of it"
                )
        known = np.concatenate([fold.fit, fold.tune])
        refuse_leaky(known, fold.judge, as_of_us, exit_us)
        refuse_leaky(fold.fit, fold.tune, as_of_us, exit_us)
    return folds
