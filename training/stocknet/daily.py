"""Skill by day: correlations inside each day, and how sure their mean is. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from arch.bootstrap import StationaryBootstrap

from training.evaluate import pearson
from training.labels import Floats

_LEAST_A_DAY = 5  # rows for a day's correlation
_DRAWS = 1_000


class Interval(NamedTuple):
    """The 95 % bootstrap interval of a mean."""

    low: float
    high: float


def by_day(day: npt.NDArray[Any]) -> list[npt.NDArray[np.intp]]:
    """Row numbers of each day, days ascending; rows of one day in their order."""
    order = np.argsort(day, kind="stable")
    _, begins = np.unique(day[order], return_index=True)
    return np.split(order, begins[1:]) if len(day) else []


def daily_ics(
    score: Floats, outcome: Floats, day: npt.NDArray[Any]
) -> tuple[npt.NDArray[Any], Floats]:
    """The days with an information coefficient, and it: the correlation inside each day.

    What all rows of a day share, in score or outcome, changes nothing. Rows without a finite score
    and outcome are left out, and days with fewer than five rows or a constant side.
    """
    days, ics = [], []
    for rows in by_day(day):
        rows = rows[np.isfinite(score[rows]) & np.isfinite(outcome[rows])]
        if len(rows) >= _LEAST_A_DAY and np.isfinite(ic := pearson(score[rows], outcome[rows])):
            days.append(day[rows[0]])
            ics.append(ic)
    return np.array(days, dtype=day.dtype), np.array(ics)


def stationary_interval(values: Floats, mean_block: float, seed: int) -> Interval:
    """Of the mean of a daily series, by the stationary bootstrap (Politis and Romano, 1994)."""
    if len(values) < 2:
        return Interval(float("nan"), float("nan"))
    drawn = StationaryBootstrap(mean_block, values, seed=seed).apply(np.mean, _DRAWS)
    low, high = np.percentile(drawn, (2.5, 97.5))
    return Interval(float(low), float(high))
