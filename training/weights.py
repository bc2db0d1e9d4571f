"""Sample weights by average uniqueness: the sum counts independent outcomes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from training.labels import Floats, Ints
from training.rows import TrainingTable


def uniqueness(rows: TrainingTable) -> Floats:
    """Average uniqueness of each row among those of its symbol and trigger.

    By trigger, so that a rare article weighs more than one of the many panes around it.
    """
    _, symbol = np.unique(rows.symbol, return_inverse=True)
    kinds, trigger = np.unique(rows.trigger, return_inverse=True)
    return average_uniqueness(rows.entry_us, rows.exit_us, symbol * len(kinds) + trigger)


def average_uniqueness(entry_us: Ints, exit_us: Ints, group: npt.NDArray[Any]) -> Floats:
    """1 / (labels of the group held at a moment), averaged over each label's own life.

    In (0, 1]; 1 for a label that overlaps none. See Lopez de Prado, Advances in Financial Machine
    Learning, chapter 4.

    Parameters
    ----------
    exit_us : after the entry.
    """
    n = len(entry_us)
    at = np.concatenate([entry_us, exit_us])
    order = np.lexsort((at, np.concatenate([group, group])))
    held = np.cumsum(np.repeat([1, -1], n)[order])
    lasts = np.diff(at[order], append=0)
    # Between two groups, and where two times tie, nothing is held or nothing lasts.
    shares = np.divide(lasts, held, out=np.zeros(2 * n), where=held > 0)
    unique = np.empty(2 * n)
    unique[order] = np.cumsum(np.append(0.0, shares))[:-1]
    weights: Floats = (unique[n:] - unique[:n]) / (exit_us - entry_us)
    return weights
