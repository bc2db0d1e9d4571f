"""Metrics of predictions against what happened. Arrays only; no rows give NaN."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import numpy.typing as npt

from stream.features.panes import DAY_US
from training.labels import Floats, Ints

_TINY = 1e-15
_BINS = 10
_LEAST_A_DAY = 5  # rows for a day's correlation


@dataclass(frozen=True)
class Judged:
    """Predictions of the judge blocks, ordered by as_of.

    p, baseline : (n, 3) probabilities of bearish, neutral, bullish; the baseline's are the class
        shares of what the model was fitted on.
    y : (n,) 0, 1, 2. expected : (n,) basis points.
    """

    symbol: npt.NDArray[np.str_]
    as_of_us: Ints
    y: Ints
    p: Floats
    baseline: Floats
    expected: Floats
    forward_return: Floats

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """The parts as one, in their order."""
        names = [each.name for each in fields(cls)]
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    @property
    def score(self) -> Floats:
        """P(bullish) - P(bearish)."""
        score: Floats = self.p[:, 2] - self.p[:, 0]
        return score


def metrics(judged: Judged) -> dict[str, float | None]:
    """Every metric by name; None where it is not defined."""
    p, y = judged.p, judged.y
    per_day = [
        (pearson(judged.score[day], judged.forward_return[day]),
         pearson(ranks(judged.score[day]), ranks(judged.forward_return[day])))
        for day in days(judged.as_of_us)
    ]  # fmt: skip
    found = {
        "n_judged": float(len(y)),
        "log_loss": log_losses(p, y).mean(),
        "log_loss_baseline": log_losses(judged.baseline, y).mean(),
        "brier": brier(p, y),
        "ece": calibration_error(p, y),
        "accuracy": float((p.argmax(axis=1) == y).mean()),
        "macro_f1": macro_f1(y, p.argmax(axis=1)),
        "mcc": matthews(y, p.argmax(axis=1)),
        "ic": pearson(judged.score, judged.forward_return),
        "rank_ic": pearson(ranks(judged.score), ranks(judged.forward_return)),
        "ic_expected_return": pearson(judged.expected, judged.forward_return),
        "daily_ic": mean_of([ic for ic, _ in per_day]),
        "daily_rank_ic": mean_of([rank_ic for _, rank_ic in per_day]),
    }
    return {name: float(value) if np.isfinite(value) else None for name, value in found.items()}


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


def days(as_of_us: Ints) -> list[npt.NDArray[np.intp]]:
    """Row numbers of each UTC day with enough rows."""
    return [rows for rows in blocks(as_of_us, DAY_US) if len(rows) >= _LEAST_A_DAY]


def blocks(as_of_us: Ints, width_us: int) -> list[npt.NDArray[np.intp]]:
    """Row numbers of each interval of `width_us` that has rows; as_of ascending."""
    _, begins = np.unique(as_of_us // width_us, return_index=True)
    return np.split(np.arange(len(as_of_us)), begins[1:]) if len(as_of_us) else []


def mean_of(values: list[float]) -> float:
    """Mean of the finite values; NaN without one."""
    finite = [value for value in values if np.isfinite(value)]
    return sum(finite) / len(finite) if finite else float("nan")
