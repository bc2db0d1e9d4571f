"""Calibration on a block that did not fit: how far to trust the model, and when to act."""

from __future__ import annotations

import numpy as np

from training.evaluate import log_losses
from training.labels import Floats, Ints

MAX_SCALE = 2.0
MIN_ACTED = 30  # rows, for a threshold to be chosen on them
DEFAULT_THRESHOLD = 0.65
_SHARES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)  # of the directional rows that a threshold leaves out
_GOLDEN = (5**0.5 - 1) / 2


def softmax(logits: Floats) -> Floats:
    """Row by row; (n, k) to (n, k)."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    out: Floats = powers / powers.sum(axis=1, keepdims=True)
    return out


def shrink(raw: Floats, prior: Floats, scale: float) -> Floats:
    """softmax(scale * raw + (1 - scale) * log prior): scale 0 is the prior, 1 the model."""
    return softmax(scale * raw + (1.0 - scale) * np.log(prior))


def fit_scale(raw: Floats, y: Ints, prior: Floats) -> float:
    """The scale in 0..MAX_SCALE of least log-loss; the loss is convex in it."""

    def loss(scale: float) -> float:
        return float(log_losses(shrink(raw, prior, scale), y).mean())

    low, high = 0.0, MAX_SCALE
    for _ in range(40):
        step = _GOLDEN * (high - low)
        if loss(high - step) <= loss(low + step):
            high = low + step
        else:
            low = high - step
    return (low + high) / 2.0


def fit_slope(raw: Floats, outcome: Floats) -> float:
    """Least-squares slope through zero of outcome on raw, cut to 0..1.5."""
    power = float(raw @ raw)
    return min(1.5, max(0.0, float(raw @ outcome) / power)) if power > 0.0 else 0.0


def choose_threshold(p: Floats, forward_return: Floats, cost: Floats | float) -> tuple[float, bool]:
    """The least confidence to act on, and whether acting on it paid.

    Among quantiles of the directional rows' confidence: the one whose net returns (signed by the
    direction, less the cost) have the largest sum over noise; the default when none is over zero.
    """
    confidence = np.maximum(p[:, 0], p[:, 2])
    rows = np.flatnonzero(confidence > p[:, 1])
    side = np.where(p[rows, 2] > p[rows, 0], 1.0, -1.0)
    net = side * forward_return[rows] - np.broadcast_to(cost, len(p))[rows]
    best, found = 0.0, DEFAULT_THRESHOLD
    for share in _SHARES if len(rows) else ():
        threshold = float(np.quantile(confidence[rows], share))
        acted = net[confidence[rows] >= threshold]
        spread = float(acted.std()) if len(acted) >= MIN_ACTED else 0.0
        if spread > 0.0 and (worth := float(acted.sum()) / spread / len(acted) ** 0.5) > best:
            best, found = worth, threshold
    return found, best > 0.0
