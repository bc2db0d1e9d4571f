"""How sure one can be of a skill: session by session, since rows of one session move together."""

from __future__ import annotations

from math import sqrt

import msgspec
import numpy as np
import numpy.typing as npt
from arch.bootstrap import StationaryBootstrap
from scipy.stats import t as student_t
from statsmodels.regression.linear_model import OLS

from stream.features.panes import DAY_US
from training.evaluate import pearson, ranks
from training.label_rules import LabelRule
from training.labels import Floats, Ints

LEAST_A_SESSION = 5  # rows for a session's correlation
N_DRAWS = 2_000
_MIN_BLOCK = 5  # sessions
BLOCKS = 4  # that a series must hold for a bootstrap


class Bounds(msgspec.Struct, frozen=True):
    """A mean over sessions and its 5 % and 95 % bounds; None: not defined."""

    mean: float | None
    low: float | None
    high: float | None
    n_sessions: int

    def __str__(self) -> str:
        if self.mean is None:
            return "none"
        if self.low is None or self.high is None:
            return f"{self.mean:.4f} (one session: no interval)"
        return f"{self.mean:.4f} ({self.low:.4f} to {self.high:.4f})"


def horizon_sessions(rule: LabelRule) -> int:
    """The horizon in sessions, rounded up."""
    return rule.sessions or -(-rule.horizon_us // DAY_US)


def mean_block(horizon: int) -> int:
    """Sessions that a drawn block has on average: it outlasts a label."""
    return max(_MIN_BLOCK, horizon)


def sessions(entry_us: Ints) -> list[npt.NDArray[np.intp]]:
    """Row numbers of each session, oldest first: the UTC day on which its rows could be bought.

    News of a weekend thus belongs to Monday.
    """
    day = entry_us // DAY_US
    order = np.argsort(day, kind="stable")
    begins = np.flatnonzero(np.diff(day[order])) + 1
    return np.split(order, begins) if len(order) else []


def session_means(values: Floats, entry_us: Ints) -> Floats:
    """The mean of each session, oldest first."""
    return np.array([values[rows].mean() for rows in sessions(entry_us)])


def session_ics(score: Floats, outcome: Floats, entry_us: Ints, *, ranked: bool = False) -> Floats:
    """Information coefficient within each session; without those where it is not defined."""
    found = []
    for rows in sessions(entry_us):
        if len(rows) >= LEAST_A_SESSION:
            a, b = score[rows], outcome[rows]
            found.append(pearson(ranks(a), ranks(b)) if ranked else pearson(a, b))
    ics = np.array(found, dtype=np.float64)
    return ics[np.isfinite(ics)]


def bounds(series: Floats, horizon: int, seed: int, n_draws: int = N_DRAWS) -> Bounds:
    """Stationary bootstrap of the mean of a series by session, in blocks of `mean_block`.

    Of fewer than four blocks every draw would be nearly the series itself, and the interval too
    narrow: Student's t takes its place.
    """
    n = len(series)
    if n < 2:
        return Bounds(float(series[0]) if n else None, None, None, n)
    block, mean = mean_block(horizon), float(series.mean())
    if n < BLOCKS * block:
        width = float(student_t.ppf(0.95, n - 1) * series.std(ddof=1) / sqrt(n))
        return Bounds(mean, mean - width, mean + width, n)
    means = StationaryBootstrap(block, series, seed=seed).apply(np.mean, n_draws)
    low, high = np.quantile(means, [0.05, 0.95])
    return Bounds(mean, float(low), float(high), n)


def newey_west_t(series: Floats, horizon: int) -> float:
    """t of the mean of a series by session; NaN with fewer than three or a constant series.

    Lags: the usual 4 (n / 100)^(2/9), and all by which labels overlap.
    """
    n = len(series)
    if n < 3 or np.ptp(series) == 0.0:
        return float("nan")
    lags = min(n - 2, max(horizon - 1, int(4 * (n / 100) ** (2 / 9))))
    return newey_west(series, lags)[1]


def newey_west(values: Floats, lags: int) -> tuple[float, float]:
    """Mean of a daily series, and its t against 0, robust to `lags` days of autocorrelation.

    W. Newey and K. West, Econometrica 55 (1987): Bartlett weights. NaN where it is not defined.
    """
    if len(values) <= lags + 1 or np.ptp(values) == 0.0:
        return (float(np.mean(values)) if len(values) else float("nan")), float("nan")
    fitted = OLS(values, np.ones(len(values))).fit(cov_type="HAC", cov_kwds={"maxlags": lags})
    return float(fitted.params[0]), float(fitted.tvalues[0])


def sharpe(returns: Floats, horizon: int, sessions_a_year: int = 252) -> float:
    """A year's, of returns over `horizon` sessions; NaN with fewer than two, or constant ones."""
    spread = float(returns.std(ddof=1)) if len(returns) > 1 else 0.0
    a_year = sqrt(sessions_a_year / horizon)
    return float(returns.mean()) / spread * a_year if spread > 0.0 else float("nan")
