"""Rows of several sectors, in each of which the features tell the return in its own way."""

from __future__ import annotations

import numpy as np

from stream.features.sector import SECTOR
from tests.unit.training.test_train_model import make_table
from training.rows import TrainingTable

NEVER = np.nan  # the code of an unknown sector
N_MOVES = 6
NAMES = (*(f"move_of_{i}" for i in range(N_MOVES)), SECTOR)


def make_sectors(signs: dict[float, float], n: int = 4_000, seed: int = 0) -> TrainingTable:
    """signs : by code, how much of the return each move tells."""
    draw = np.random.default_rng(seed)
    codes = np.array(list(signs))
    own = draw.integers(0, len(codes), n)
    x = np.column_stack([draw.normal(size=(n, N_MOVES)), codes[own]])
    x[draw.random(n) < 0.1, 0] = np.nan
    told = np.array(list(signs.values()))[own] * np.nan_to_num(x[:, :N_MOVES]).sum(axis=1)
    return make_table(
        n=n, seed=seed, x=x, feature_names=NAMES,
        symbol=np.array([f"S{each}" for each in own]),
        forward_return=0.002 * (told + draw.normal(size=n)),
    )  # fmt: skip
