"""How good a score is, inside each day and pooled, and what luck alone would look like."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from training.evaluate import matthews, ranks
from training.labels import Floats
from training.skill import newey_west
from training.stocknet.daily import Interval, by_day, daily_ics, stationary_interval
from training.stocknet.features import Rows
from training.stocknet.inputs import published_label

LAGS = 5  # sessions
_COINS = 10_000
_LEAST_A_DAY = 5


class Daily(NamedTuple):
    """The mean of a daily series, its Newey-West t, and a 95 % stationary-bootstrap interval."""

    mean: float
    t: float
    interval: Interval


class Figures(NamedTuple):
    """Of one score on one span.

    ic, rank_ic : correlation with the day's moves, of values and of ranks, inside each day.
    mcc_day : of score above the day's median against move above the day's median, each day.
    accuracy, mcc : pooled, of score > 0 against the published label, where there is one.
    """

    n_days: int
    n_rows: int
    ic: Daily
    rank_ic: Daily
    mcc_day: Daily
    n_labels: int
    accuracy: float
    mcc: float


class Band(NamedTuple):
    """What one coin a day gives, pooled: its spread and its 95 % band."""

    n_days: int
    sd: float
    low: float
    high: float
    accuracy_low: float
    accuracy_high: float


def figures(score: Floats, rows: Rows, span: npt.NDArray[np.bool_], seed: int = 0) -> Figures:
    """Judge the score's rows inside `span` that have a move."""
    inside = span & np.isfinite(score) & np.isfinite(rows.move)
    score, move, day = score[inside], rows.move[inside], rows.day[inside]
    label = published_label(move)
    told = np.isfinite(label)
    up, said = label[told].astype(np.int64), (score[told] > 0.0).astype(np.int64)
    days, rank_ics = daily_ics(_ranked(score, day), _ranked(move, day), day)
    return Figures(
        n_days=len(days),
        n_rows=len(score),
        ic=_daily(daily_ics(score, move, day)[1], seed),
        rank_ic=_daily(rank_ics, seed),
        mcc_day=_daily(median_mccs(score, move, day), seed),
        n_labels=len(up),
        accuracy=float((up == said).mean()) if len(up) else float("nan"),
        mcc=_two_class_mcc(up, said),
    )


def mean_ics(score: Floats, rows: Rows, span: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Mean daily IC of values and of ranks; NaN where no day has one."""
    inside = span & np.isfinite(score) & np.isfinite(rows.move)
    score, move, day = score[inside], rows.move[inside], rows.day[inside]
    of_values = daily_ics(score, move, day)[1]
    of_ranks = daily_ics(_ranked(score, day), _ranked(move, day), day)[1]
    return newey_west(of_values, LAGS)[0], newey_west(of_ranks, LAGS)[0]


def median_mccs(score: Floats, move: Floats, day: npt.NDArray[Any]) -> Floats:
    """For each day the MCC of the upper half by score against the upper half by move."""
    found = []
    for rows in by_day(day):
        if len(rows) >= _LEAST_A_DAY:
            above = [(each[rows] > np.median(each[rows])).astype(np.int64)
                     for each in (score, move)]  # fmt: skip
            mcc = _two_class_mcc(above[1], above[0])
            if np.isfinite(mcc):
                found.append(mcc)
    return np.array(found)


def coin_band(rows: Rows, span: npt.NDArray[np.bool_], seed: int = 0) -> Band:
    """Pooled MCC and accuracy of one coin a day for all symbols, simulated."""
    label = published_label(rows.move)
    inside = span & np.isfinite(label)
    days = by_day(rows.day[inside])
    up = np.array([label[inside][each].sum() for each in days])
    n = np.array([len(each) for each in days], dtype=float)
    if not len(n):
        return Band(0, *[float("nan")] * 5)
    coins = np.random.default_rng(seed).integers(0, 2, (_COINS, len(n)))
    hits_up, said_up = coins @ up, coins @ n  # said up and was; said up
    total, was_up = n.sum(), up.sum()
    spread = np.sqrt(said_up * (total - said_up) * was_up * (total - was_up))
    mcc = (hits_up * total - said_up * was_up) / np.where(spread > 0.0, spread, np.inf)
    accuracy = (2.0 * hits_up + total - said_up - was_up) / total
    low, high = np.percentile(mcc, (2.5, 97.5))
    return Band(len(n), float(mcc.std()), float(low), float(high),
                *map(float, np.percentile(accuracy, (2.5, 97.5))))  # fmt: skip


def difference(
    score: Floats, other: Floats, rows: Rows, span: npt.NDArray[np.bool_]
) -> dict[str, Daily]:
    """Of the daily ICs of two scores on the same days: score less other."""
    inside = span & np.isfinite(score) & np.isfinite(other) & np.isfinite(rows.move)
    move, day = rows.move[inside], rows.day[inside]
    pairs = {
        "ic": [daily_ics(each[inside], move, day) for each in (score, other)],
        "rank_ic": [daily_ics(_ranked(each[inside], day), _ranked(move, day), day)
                    for each in (score, other)],
    }  # fmt: skip
    found = {}
    for name, ((one_days, one), (other_days, another)) in pairs.items():
        _, i, j = np.intersect1d(one_days, other_days, return_indices=True)
        found[name] = _daily(one[i] - another[j], 0)
    return found


def _daily(values: Floats, seed: int) -> Daily:
    return Daily(*newey_west(values, LAGS), stationary_interval(values, LAGS, seed))


def _ranked(values: Floats, day: npt.NDArray[Any]) -> Floats:
    out = np.full(len(values), np.nan)
    for rows in by_day(day):
        out[rows] = ranks(values[rows])
    return out


def _two_class_mcc(was: npt.NDArray[np.int64], said: npt.NDArray[np.int64]) -> float:
    return matthews(was, said) if len(was) else float("nan")
