"""Columns whose values are names, not numbers: split by value, or not looked at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from stream.features.sector import SECTOR
from training.learners.learner import Block


def categories(names: Sequence[str]) -> list[str]:
    """Those of the features that are categories."""
    return [name for name in names if name == SECTOR]


def without_categories(block: Block, names: Sequence[str]) -> Block:
    """The block for a learner that would take a code for a number."""
    found = np.isin(names, categories(names))
    return without(block, found) if found.any() else block


def without(block: Block, dropped: npt.NDArray[np.bool_]) -> Block:
    """The block with these columns empty: no tree splits them, and they rank 0 in a line, so what
    is fitted still reads whole vectors."""
    x = block.x.copy()
    x[:, dropped] = np.nan
    return block._replace(x=x)
