"""What a series of daily returns is worth, and how sure one can be of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import e, sqrt
from statistics import NormalDist

import msgspec
import numpy as np

from training.backtest import Backtest
from training.labels import Floats

HEAD = ("strategy", "cost a side", "total", "a year", "Sharpe (95 %)", "deflated", "drawdown")
_EULER = 0.5772156649015329
_NORMAL = NormalDist()


class Performance(msgspec.Struct, frozen=True, kw_only=True):
    """Returns are fractions of a capital that is topped up or skimmed daily; None: not defined.

    sharpe : a year's, with its 95 % interval. deflated : the probability, 0..1, that it is above
    what the best of as many tries without skill would show.
    drawdown : the largest loss from a peak of the summed returns.
    """

    total: float
    per_year: float | None = None
    volatility: float | None = None
    sharpe: float | None = None
    sharpe_low: float | None = None
    sharpe_high: float | None = None
    deflated: float | None = None
    drawdown: float
    worst_day: float


def performance(daily: Floats, n_tries: int, days_a_year: int = 252) -> Performance:
    """Judge daily returns.

    The interval is Mertens' (2002), for returns that are skewed and have fat tails; `deflated` is
    the deflated Sharpe ratio of Bailey and Lopez de Prado (2014), with the Sharpe ratios of the
    tries taken to differ by chance alone.

    Parameters
    ----------
    n_tries : how many strategies were tried to find this one, at least 1.
    """
    summed = np.cumsum(daily)
    peaks = np.maximum.accumulate(np.append(0.0, summed))
    n, spread = len(daily), float(daily.std(ddof=1)) if len(daily) > 1 else 0.0
    found = Performance(
        total=float(summed[-1]) if n else 0.0,
        drawdown=float((peaks - np.append(0.0, summed)).max()),
        worst_day=float(daily.min()) if n else 0.0,
    )
    if n < 3 or spread <= 1e-12 * float(np.abs(daily).max()):
        return found
    a_day = float(daily.mean()) / spread
    error = _standard_error(daily, a_day)
    year = sqrt(days_a_year)
    return msgspec.structs.replace(
        found,
        per_year=float(daily.mean()) * days_a_year,
        volatility=spread * year,
        sharpe=a_day * year,
        sharpe_low=(a_day - 1.96 * error) * year,
        sharpe_high=(a_day + 1.96 * error) * year,
        deflated=_NORMAL.cdf((a_day - _best_of(n_tries) / sqrt(n - 1)) / error),
    )


def by_strategy(
    found: Mapping[str, Backtest], costs_bps: Sequence[float], n_tries: int
) -> dict[str, dict[float, Performance]]:
    """Each strategy's performance by cost; only the first strategy was found by trying."""
    return {
        name: {
            bps: performance(one.net(bps / 1e4), n_tries if i == 0 else 1, one.days_a_year)
            for bps in costs_bps
        }
        for i, (name, one) in enumerate(found.items())
    }


def lines(
    found: Mapping[str, Backtest], costs_bps: Sequence[float], n_tries: int
) -> list[tuple[str, ...]]:
    """A row of HEAD for each strategy and cost."""
    rows = []
    for name, by_cost in by_strategy(found, costs_bps, n_tries).items():
        for bps, got in by_cost.items():
            told = [name, f"{bps:g} bp", f"{got.total:.2%}"]
            if got.sharpe is None or got.deflated is None:
                told += ["none"] * 3
            else:
                told += [
                    f"{got.per_year:.2%}",
                    f"{got.sharpe:.2f} ({got.sharpe_low:.2f} to {got.sharpe_high:.2f})",
                    f"{got.deflated:.3f}",
                ]
            rows.append((*told, f"{got.drawdown:.2%}"))
    return rows


def _standard_error(daily: Floats, sharpe: float) -> float:
    z = (daily - daily.mean()) / daily.std()
    skew, kurtosis = float((z**3).mean()), float((z**4).mean())
    variance = 1.0 - skew * sharpe + (kurtosis - 1.0) / 4.0 * sharpe**2
    return sqrt(max(variance, 1e-12) / (len(daily) - 1))


def _best_of(n_tries: int) -> float:
    """Expected largest of so many standard normal draws."""
    if n_tries < 2:
        return 0.0
    return (1.0 - _EULER) * _NORMAL.inv_cdf(1.0 - 1.0 / n_tries) + _EULER * _NORMAL.inv_cdf(
        1.0 - 1.0 / (n_tries * e)
    )
