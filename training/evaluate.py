"""Measures of predictions against what happened. Arrays only; no rows give NaN."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from training.labels import Floats, Ints

_TINY = 1e-15
_BINS = 10


def log_losses(p: Floats, y: Ints) -> Floats:
    """-log of the probability given to what happened, one a row."""
    losses: Floats = -np.log(np.maximum(p[np.arange(len(y)), y], _TINY))
    return losses


def direction_losses(p: Floats, y: Ints) -> Floats:
    """Log-loss of up against down, given that it was not neutral; 0 for neutral rows."""
    down, up = np.maximum(p[:, 0], _TINY), np.maximum(p[:, 2], _TINY)
    right = np.where(y == 2, up, down) / (up + down)
    return np.where(y == 1, 0.0, -np.log(right))


def brier(p: Floats, y: Ints) -> float:
    """Mean squared distance to the one-hot outcome, 0..2."""
    return float(((p - np.eye(p.shape[1])[y]) ** 2).sum(axis=1).mean())


def calibration_error(p: Floats, y: Ints) -> float:
    """Expected calibration error of the likeliest class over ten bins, 0..1."""
    top = p.max(axis=1)
    right = p.argmax(axis=1) == y
    bins = np.minimum((top * _BINS).astype(int), _BINS - 1)
    gaps = [abs(float((right[bins == b] - top[bins == b]).sum())) for b in range(_BINS)]
    return sum(gaps) / len(y)


def confusion(y: Ints, guess: npt.NDArray[np.intp], n: int = 3) -> npt.NDArray[np.float64]:
    """(n, n) counts: true class in rows, guess in columns."""
    table = np.zeros((n, n))
    np.add.at(table, (y, guess), 1.0)
    return table


def macro_f1(y: Ints, guess: npt.NDArray[np.intp]) -> float:
    """Mean F1 over the classes that occur or are guessed."""
    table = confusion(y, guess)
    total = table.sum(axis=0) + table.sum(axis=1)
    present = total > 0
    return float((2 * np.diag(table)[present] / total[present]).mean())


def matthews(y: Ints, guess: npt.NDArray[np.intp]) -> float:
    """Matthews correlation over all classes, -1..1; NaN when one class is all there is."""
    table = confusion(y, guess)
    n, right = table.sum(), np.trace(table)
    true, guessed = table.sum(axis=1), table.sum(axis=0)
    spread = (n**2 - (guessed**2).sum()) * (n**2 - (true**2).sum())
    return float((right * n - true @ guessed) / np.sqrt(spread)) if spread > 0 else float("nan")


def auc(score: Floats, is_it: npt.NDArray[np.bool_]) -> float:
    """Area under the ROC: how often a row that is it scores above one that is not; 0..1."""
    n = int(is_it.sum())
    if n in (0, len(is_it)):
        return float("nan")
    above = float(ranks(score)[is_it].sum()) - n * (n - 1) / 2
    return above / (n * (len(is_it) - n))


def pearson(a: Floats, b: Floats) -> float:
    """Correlation; NaN with fewer than two rows or a constant side."""
    if len(a) < 2 or np.ptp(a) == 0.0 or np.ptp(b) == 0.0:
        return float("nan")
    da, db = a - a.mean(), b - b.mean()
    return float(da @ db / np.sqrt((da @ da) * (db @ db)))


def ranks(a: Floats) -> Floats:
    """Ranks from 0; ties share their mean rank."""
    _, inverse, counts = np.unique(a, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    mean: Floats = (last - (counts + 1) / 2)[inverse]
    return mean
