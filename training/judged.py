"""Predictions of the judge blocks, and every metric of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import numpy.typing as npt

from training.evaluate import (
    auc,
    brier,
    calibration_error,
    log_losses,
    macro_f1,
    matthews,
    pearson,
    ranks,
)
from training.label_rules import LabelRule
from training.labels import Floats, Ints
from training.skill import horizon_sessions, newey_west_t, session_ics, sessions, sharpe


@dataclass(frozen=True)
class Judged:
    """One entry a judged row, ordered by as_of within each fold; probabilities are (n, 3).

    row : in the table that was trained on.
    baseline : climatology: the class shares of what the fold's model was fitted on.
    price_only, champion : of the rivals; NaN in rows that they were not asked about.
    expected : basis points. foreseen : what came of it, where not all of the return is expected:
        without the market's, and NaN where that is not known.
    forward_return, cost of a round trip : fractions.
    """

    row: Ints
    fold: Ints
    symbol: npt.NDArray[np.str_]
    as_of_us: Ints
    entry_us: Ints
    y: Ints
    p: Floats
    baseline: Floats
    price_only: Floats
    champion: Floats
    expected: Floats
    foreseen: Floats
    forward_return: Floats
    cost: Floats

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """The parts as one, in their order."""
        names = [each.name for each in fields(cls)]
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def take(self, rows: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> Self:
        """The rows that a mask or index picks."""
        return type(self)(*(getattr(self, each.name)[rows] for each in fields(self)))

    @property
    def score(self) -> Floats:
        """P(bullish) - P(bearish)."""
        score: Floats = self.p[:, 2] - self.p[:, 0]
        return score

    @property
    def confidence(self) -> Floats:
        """The larger of P(bullish) and P(bearish)."""
        return np.maximum(self.p[:, 0], self.p[:, 2])


def direction_accuracy(judged: Judged) -> float:
    """Of the rows that moved, the share whose score had the right sign; NaN when none moved."""
    moved = judged.y != 1
    right = np.sign(judged.score[moved]) == judged.y[moved] - 1
    return float(right.mean()) if moved.any() else float("nan")


def session_returns(judged: Judged, *, after_costs: bool = True) -> Floats:
    """By session the return of one unit of capital spread over its rows by |score|."""
    weight = np.abs(judged.score)
    net = judged.score * judged.forward_return - weight * judged.cost * after_costs
    return np.array(
        [net[rows].sum() / max(weight[rows].sum(), 1e-12) for rows in sessions(judged.entry_us)]
    )


def metrics(judged: Judged, rule: LabelRule) -> dict[str, float | None]:
    """Every metric by name; None where it is not defined. Errors are of `expected`, in bp."""
    p, y, score = judged.p, judged.y, judged.score
    guess, outcome = p.argmax(axis=1), 1e4 * judged.forward_return
    horizon = horizon_sessions(rule)
    ics = session_ics(score, outcome, judged.entry_us)
    rank_ics = session_ics(score, outcome, judged.entry_us, ranked=True)
    expected_ics = session_ics(judged.expected, outcome, judged.entry_us)
    found = {
        "n_judged": float(len(y)),
        "n_sessions": float(len(sessions(judged.entry_us))),
        "log_loss": log_losses(p, y).mean(),
        "log_loss_baseline": log_losses(judged.baseline, y).mean(),
        "brier": brier(p, y),
        "ece": calibration_error(p, y),
        "accuracy": float((guess == y).mean()),
        "accuracy_direction": direction_accuracy(judged),
        "macro_f1": macro_f1(y, guess),
        "mcc": matthews(y, guess),
        "auc": _mean([auc(p[:, k], y == k) for k in range(3)]),
        "auc_direction": auc(score[y != 1], y[y != 1] == 2),
        "confidence_accuracy": pearson(p.max(axis=1), (guess == y).astype(np.float64)),
        "ic": pearson(score, outcome),
        "rank_ic": pearson(ranks(score), ranks(outcome)),
        "ic_expected_return": pearson(judged.expected, outcome),
        "daily_ic": _mean(ics),
        "daily_ic_t": newey_west_t(ics, horizon),
        "daily_ic_expected_return": _mean(expected_ics),
        "daily_ic_expected_return_t": newey_west_t(expected_ics, horizon),
        "daily_rank_ic": _mean(rank_ics),
        "daily_rank_ic_t": newey_west_t(rank_ics, horizon),
        **_errors(judged),
        "sharpe": sharpe(session_returns(judged), horizon),
    }
    return {name: float(value) if np.isfinite(value) else None for name, value in found.items()}


def _errors(judged: Judged) -> dict[str, float]:
    known = ~np.isnan(judged.foreseen)
    if not known.any():
        return dict.fromkeys(("mse", "mae", "rmse", "r2"), float("nan"))
    error = (judged.expected - judged.foreseen)[known]
    mse, spread = float((error**2).mean()), float(judged.foreseen[known].var())
    return {
        "mse": mse,
        "mae": float(np.abs(error).mean()),
        "rmse": mse**0.5,
        "r2": 1.0 - mse / spread if spread > 0.0 else float("nan"),
    }


def _mean(values: Sequence[float] | Floats) -> float:
    finite = [value for value in values if np.isfinite(value)]
    return sum(finite) / len(finite) if finite else float("nan")
