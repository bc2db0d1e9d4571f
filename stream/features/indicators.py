"""Indicators over a list of closes, oldest first. Each has a finite window."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import fsum, sqrt
from operator import mul

RSI_PANES = 14
BOLLINGER_PANES = 20
MACD_SPANS = (12, 26, 9)


def rsi_cutler(closes: Sequence[float]) -> float:
    """Cutler's RSI: 100 * gains / (gains + losses), simple sums over the closes given.

    Returns
    -------
    float
        0 (only losses) to 100 (only gains); 50 where nothing moved.

    Examples
    --------
    >>> rsi_cutler([10.0, 11.0, 10.5, 12.0])
    83.33333333333334
    >>> rsi_cutler([3.0, 3.0])
    50.0
    """
    steps = [b - a for a, b in pairwise(closes)]
    gains = fsum([step for step in steps if step > 0.0])
    moves = fsum(map(abs, steps))
    return 50.0 if moves == 0.0 else 100.0 * (gains / moves)


def bollinger_b(closes: Sequence[float]) -> float | None:
    """Bollinger's %b: where the last close stands between mean - 2 sd (0) and mean + 2 sd (1).

    Population standard deviation over the closes given; None where all are equal.

    Examples
    --------
    >>> bollinger_b([1.0, 3.0])
    0.75
    >>> bollinger_b([2.0, 2.0, 2.0]) is None
    True
    """
    if min(closes) == max(closes):
        return None
    n = len(closes)
    mean = fsum(closes) / n
    sd = sqrt(fsum([(close - mean) ** 2 for close in closes]) / n)
    if sd == 0.0:
        return None
    return 0.5 + (closes[-1] - mean) / (4.0 * sd)


def ema_weights(span: int) -> list[float]:
    """Weights of an exponential mean cut at three spans, newest first, summing to 1.

    Examples
    --------
    >>> [round(weight, 3) for weight in ema_weights(1)]
    [1.0, 0.0, 0.0]
    >>> len(ema_weights(26))
    78
    """
    decay = 1.0 - 2.0 / (span + 1.0)
    raw = [decay**age for age in range(3 * span)]
    total = fsum(raw)
    return [weight / total for weight in raw]


def macd_weights(fast: int, slow: int, signal: int) -> list[float]:
    """Weights on closes, oldest first, that give MACD minus its signal line.

    It is linear in the closes, so it is one fixed weighted sum: no state to carry.
    """
    line = [-weight for weight in ema_weights(slow)]
    for age, weight in enumerate(ema_weights(fast)):
        line[age] += weight
    smooth = ema_weights(signal)
    parts: list[list[float]] = [[] for _ in range(len(line) + len(smooth) - 1)]
    for age, weight in enumerate(line):
        parts[age].append(weight)
        for lag, share in enumerate(smooth):
            parts[age + lag].append(-weight * share)
    return [fsum(part) for part in reversed(parts)]


_HISTOGRAM = macd_weights(*MACD_SPANS)
MACD_PANES = len(_HISTOGRAM)


def macd_histogram(closes: Sequence[float]) -> float:
    """EMA(12) - EMA(26) less its own EMA(9), of the last 104 closes, as a share of the last one.

    Examples
    --------
    >>> abs(macd_histogram([5.0] * 104)) < 1e-15
    True
    """
    return fsum(map(mul, _HISTOGRAM, closes[-MACD_PANES:])) / closes[-1]
