"""A confidence sequence for a mean: an interval that may be looked at after every day.

It holds at all times at once, so one may stop as soon as it says enough. It is the empirical
Bernstein sequence of Howard, Ramdas, McAuliffe and Sekhon (2021), which covers the mean of the
conditional means so far: skill may change from day to day. Beside their single range it takes
each value's own, as long as that is known before the value is.

For x >= -c and 0 <= rate < 1/c, exp(rate * x - cost(rate, c) * x^2) <= 1 + rate * x (Fan, Grama and
Liu, 2015). So exp(sum of rate * (x - its conditional mean) - cost * x^2) is a supermartingale that
starts at 1 and exceeds 1/alpha at some time with probability alpha at most (Ville). A few rates,
each at its share of alpha, serve small and large differences.
"""

from __future__ import annotations

from math import inf, log
from typing import NamedTuple

import numpy as np

from training.labels import Floats

_RATES = 2.0 ** np.arange(-1, 11)


class Interval(NamedTuple):
    """Of a mean, in the unit of the values."""

    low: float
    high: float


def interval(x: Floats, bound: Floats, alpha: float) -> Interval:
    """Where the mean of the conditional means of `x` lies, at all times with 1 - alpha.

    Parameters
    ----------
    bound : of each |x|, known before x is.
    alpha : 0..1, of both sides together.
    """
    return Interval(_low(x, bound, alpha / 2), -_low(-x, bound, alpha / 2))


def interleaved(x: Floats, bound: Floats, alpha: float, n: int) -> Interval:
    """The same where the outcomes of `n` values in a row overlap: of n sequences, n values apart.

    Each has its share of alpha, and the whole the mean of their intervals, by their lengths.
    """
    low = high = 0.0
    for k in range(min(n, len(x))):
        part = interval(x[k::n], bound[k::n], alpha / n)
        share = len(x[k::n]) / len(x)
        low, high = low + share * part.low, high + share * part.high
    return Interval(low, high) if len(x) else Interval(-inf, inf)


def expected_length(x: Floats, bound: Floats, alpha: float, n: int) -> float:
    """Values until `interleaved` leaves out 0, if they go on as in `x`; inf: never."""
    if not len(x):
        return inf
    towards = np.sign(x.sum()) * x
    gained = _RATES * towards.mean() - _costs(towards, bound).mean(axis=1)
    needed = log(len(_RATES) * 2 * n / alpha)
    return float(n * needed / gained.max()) if gained.max() > 0.0 else inf


def _low(x: Floats, bound: Floats, alpha: float) -> float:
    """The bound under the mean that holds at all times with 1 - alpha; -inf for no values."""
    if not len(x):
        return -inf
    paid = _costs(x, bound).sum(axis=1) + log(len(_RATES) / alpha)
    return float(((x.sum() - paid / _RATES) / len(x)).max())


def _costs(x: Floats, bound: Floats) -> Floats:
    """cost * x^2 by rate and value; inf where the rate is not under 1 / bound."""
    c = np.maximum(bound, 1e-6)
    used = _RATES[:, np.newaxis] * c
    with np.errstate(divide="ignore", invalid="ignore"):
        cost = (-np.log1p(-used) - used) / c**2
    out: Floats = np.where(used < 1.0, cost * x**2, inf)
    return out
