"""Rows with a planted effect, as a learner sees them."""

from __future__ import annotations

import numpy as np

from training.learners.learner import Block

NAMES = ("line", "bend", "count", "noise", "constant", "never")
LEARNERS = ("lightgbm", "xgboost", "forest", "boosting", "linear")  # those that read vectors


def make_block(n: int, seed: int = 0) -> Block:
    """A fifth of the values missing; the last columns have one value, and none."""
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(n, len(NAMES)))
    x[:, 2] = draw.integers(0, 3, n)
    x[draw.random(x.shape) < 0.2] = np.nan
    x[:, 4], x[:, 5] = 1.0, np.nan
    told = np.nan_to_num(x)
    bps = 10.0 * (told[:, 0] + told[:, 1] ** 2 / 2 + told[:, 2] / 2 + draw.normal(size=n))
    y = np.digitize(bps, np.quantile(bps, [0.3, 0.7]))
    return Block(x, y, bps, draw.random(n) + 0.1)


def hard_rows(thresholds: np.ndarray, n: int = 700, seed: int = 1) -> np.ndarray:
    """Rows of values on, just beside and far from where trees split; many missing."""
    draw = np.random.default_rng(seed)
    shape = (n, len(NAMES))
    at = draw.choice(thresholds, shape)
    near = [
        at,
        np.nextafter(at, np.inf),
        np.nextafter(at, -np.inf),
        at.astype(np.float32).astype(float),
        np.nextafter(at.astype(np.float32), np.float32(np.inf)).astype(float),
        draw.normal(size=shape),
        np.full(shape, np.nan),
        np.zeros(shape),
        1e30 * draw.normal(size=shape),
    ]
    return np.choose(draw.integers(0, len(near), shape), near)
