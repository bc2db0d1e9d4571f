"""Calibration on a block that did not fit: how far to trust the model, and when to act."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import isotonic_regression, minimize_scalar

from models.artifact import Calibration, Curve
from stream.features.panes import DAY_US
from training.evaluate import log_losses
from training.labels import Floats, Ints

ISOTONIC_DAYS = 250  # effective ones: fewer would bend the curves after noise
MAX_SCALE = 2.0
MIN_ACTED = 30  # rows, for a threshold to be chosen on them
DEFAULT_THRESHOLD = 0.65
_SHARES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)  # of the directional rows that a threshold leaves out


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

    found = minimize_scalar(
        loss, bounds=(0.0, MAX_SCALE), method="bounded", options={"xatol": 1e-8}
    )
    # The search never reaches a bound.
    return float(found.x) if loss(found.x) < loss(0.0) else 0.0


def fit_slope(raw: Floats, outcome: Floats) -> float:
    """Least-squares slope through zero of outcome on raw, cut to 0..1.5."""
    power = float(raw @ raw)
    return min(1.5, max(0.0, float(raw @ outcome) / power)) if power > 0.0 else 0.0


def effective_days(as_of_us: Ints, horizon_us: int) -> float:
    """Days with rows, over the days that a label takes: rows of one day share its news."""
    n = len(np.unique(as_of_us // DAY_US))
    return n / max(1.0, horizon_us / DAY_US)


def fit_calibration(raw: Floats, y: Ints, prior: Floats, n_days: float) -> Calibration:
    """A scale towards the prior, and from ISOTONIC_DAYS on curves over its probabilities."""
    scale = fit_scale(raw, y, prior)
    offsets = ((1.0 - scale) * np.log(prior)).tolist()
    found = Calibration(scale=scale, offsets=(offsets[0], offsets[1], offsets[2]))
    if n_days < ISOTONIC_DAYS:
        return found
    p = calibrated(raw, found)
    a, b, c = (isotonic(p[:, k], y == k) for k in range(3))
    return Calibration(scale=scale, offsets=found.offsets, isotonic=(a, b, c))


def calibrated(raw: Floats, calibration: Calibration) -> Floats:
    """(n, 3) raw scores to probabilities, as serving does it a row."""
    p = softmax(calibration.scale * raw + np.array(calibration.offsets))
    if calibration.isotonic is None:
        return p
    drawn = zip(p.T, calibration.isotonic, strict=True)
    p = np.column_stack([np.interp(column, curve.x, curve.y) for column, curve in drawn])
    out: Floats = p / p.sum(axis=1, keepdims=True)
    return out


def isotonic(p: Floats, happened: npt.NDArray[np.bool_]) -> Curve:
    """The rising curve of least squares from probabilities to shares of what happened.

    Its ends stay off 0 and 1 by what so many rows cannot rule out.
    """
    x, inverse, n = np.unique(p, return_inverse=True, return_counts=True)
    share = np.bincount(inverse, weights=happened) / n
    y = isotonic_regression(share, weights=n).x
    corner = np.ones(len(y), dtype=bool)
    corner[1:-1] = (y[1:-1] != y[:-2]) | (y[1:-1] != y[2:])
    least = 1.0 / (len(p) + 2)
    shares = np.clip(y[corner], least, 1.0 - least)
    return Curve(x=tuple(x[corner].tolist()), y=tuple(shares.tolist()))


class Threshold(NamedTuple):
    """The least confidence to act on, whether acting on it paid, and the share of rows acted on."""

    confidence: float
    pays: bool
    coverage: float


def choose_threshold(p: Floats, forward_return: Floats, cost: Floats | float) -> Threshold:
    """The confidence from which acting paid best, after costs.

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
    coverage = float((confidence[rows] >= found).sum()) / max(1, len(p))
    return Threshold(found, best > 0.0, coverage)
