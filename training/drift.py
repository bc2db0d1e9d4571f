"""Has the world moved away from what a model was trained on? Pure; days are what it counts.

    reference   |d1|d2|d3|d4|d5| ...             window   |w1|w2|w3|
                |--------|  against the other days of the reference,
                   |--------|  and so on: what as many days differ by when nothing drifted

Rows within a day move together, and days beside each other too, so a test that counts rows always
fires. A feature has drifted when its statistic is above the usual threshold and above its band:
what 95 of 100 such runs of the reference stay under, widened until all features together do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

import msgspec
import numpy as np

from models.artifact import Reference
from training.gates import Say
from training.labels import Floats, Ints

PSI = (0.10, 0.25)  # WARN and FAIL above: the usual thresholds
MISSING = (0.05, 0.20)  # of the difference of the shares without a value
WORSE = (2.0, 3.0)  # standard errors, over days
LOSS = (0.01, 0.03)  # nats more than in the first weeks, and
GAP = (0.03, 0.10)  # probability said less share that came true
MIN_DAYS = 5  # on each side, to judge what matured
MIN_RUNS = 8  # the reference holds so many windows side by side, for a band
LEVEL = 0.95
_FLOOR = 1e-4  # of a share: an empty bin is no infinity
_LEAST_BAND = 0.01

Statistic = Callable[[Floats, Floats], Floats]  # of expected and actual shares


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One answer: WARN above the first of `limits`, FAIL above the second (None: never)."""

    name: str
    says: Say
    value: float
    limits: tuple[float, float | None]

    def told(self) -> tuple[str, ...]:
        """Name, verdict, value and limits as text."""
        limits = ("none" if limit is None else f"{limit:.3g}" for limit in self.limits)
        return (self.name, self.says, f"{self.value:.3g}", *limits)


HEAD = ("what", "says", "value", "WARN above", "FAIL above")  # of `Finding.told`


@dataclass(frozen=True)
class Bins:
    """One feature's bins, (lower, upper], and what is expected of them.

    shares : of the values in each bin; then of the rows, those without a value.
    """

    edges: Floats
    shares: Floats

    @classmethod
    def of(cls, reference: Reference) -> Self:
        """Between a reference's quantiles; where some are equal, how much lies below is unknown."""
        counts = Counter(reference.quantiles.values())
        known = sorted((v, float(q)) for q, v in reference.quantiles.items() if counts[v] == 1)
        levels = np.diff([0.0, *(level for _, level in known), 1.0])
        return cls(np.array([edge for edge, _ in known]), np.append(levels, reference.missing))

    def measured(self, counts: Ints) -> Self:
        """The same bins with the shares that `counts`, as of `count`, give."""
        return replace(self, shares=_shares(counts))

    def count(self, column: Floats) -> Ints:
        """(bins + 1,) rows in each bin, then those without a value."""
        seen = column[~np.isnan(column)]
        found = np.bincount(np.searchsorted(self.edges, seen), minlength=len(self.shares) - 1)
        return np.append(found, len(column) - len(seen))


def equal_bins(values: Floats, n_bins: int = 10) -> Bins:
    """Bins of about equal shares of `values`, where no artifact holds any."""
    edges = np.unique(np.quantile(values, np.arange(1, n_bins) / n_bins))
    blank = Bins(edges, np.zeros(len(edges) + 2))
    return blank.measured(blank.count(values))


def psi(expected: Floats, actual: Floats) -> Floats:
    """Population stability index over the last axis; the shares of each side sum to 1."""
    e, a = np.maximum(expected, _FLOOR), np.maximum(actual, _FLOOR)
    index: Floats = ((a - e) * np.log(a / e)).sum(axis=-1)
    return index


def drifted(
    names: Sequence[str], bins: Sequence[Bins], reference: Sequence[Ints], window: Sequence[Ints]
) -> list[Finding]:
    """What each feature's PSI and its share without a value say, against the bins' own shares.

    Parameters
    ----------
    reference, window : of each feature (days, bins + 1) counts as `Bins.count` gives them, in order
        of the days. With fewer than MIN_RUNS times as many days of reference as of window there is
        no band, and nothing is more than a WARN.
    """
    n_days = len(window[0])
    judgeable = len(reference[0]) >= MIN_RUNS * n_days
    found = []
    for what, statistic, limits in (
        ("PSI", _psi_of, PSI),
        ("share without a value", _missing_of, MISSING),
    ):
        value = [
            statistic(b.shares, _shares(each.sum(axis=0)))
            for b, each in zip(bins, window, strict=True)
        ]
        band = np.zeros(len(bins))
        if judgeable:
            runs = [_of_runs(statistic, each, n_days) for each in reference]
            band = _widened(np.stack(runs, axis=1))
        for name, got, top in zip(names, value, band.tolist(), strict=True):
            warn, fail = (max(limit, top) for limit in limits)
            found.append(
                _finding(f"{name}: {what}", float(got), (warn, fail if judgeable else None))
            )
    return found


def worse(
    name: str, day: Ints, value: Floats, since_day: int, least: tuple[float, float]
) -> Finding | None:
    """Whether daily means of `value` are higher from `since_day` on than before.

    Both the difference and its size in standard errors over days must be above their limits. None
    with fewer than MIN_DAYS on a side.
    """
    days, at = np.unique(day, return_inverse=True)
    mean = np.bincount(at, value) / np.bincount(at)
    before, after = mean[days < since_day], mean[days >= since_day]
    if min(len(before), len(after)) < MIN_DAYS:
        return None
    error = float(before.var(ddof=1) / len(before) + after.var(ddof=1) / len(after)) ** 0.5
    warn, fail = (max(low, n * error) for low, n in zip(least, WORSE, strict=True))
    return _finding(name, float(after.mean() - before.mean()), (warn, fail))


def off(name: str, day: Ints, value: Floats, least: tuple[float, float]) -> Finding | None:
    """Whether the daily means of `value` are away from 0, as `worse`."""
    days, at = np.unique(day, return_inverse=True)
    if len(days) < MIN_DAYS:
        return None
    mean = np.bincount(at, value) / np.bincount(at)
    error = float(mean.std(ddof=1)) / len(days) ** 0.5
    warn, fail = (max(low, n * error) for low, n in zip(least, WORSE, strict=True))
    return _finding(name, abs(float(mean.mean())), (warn, fail))


def _shares(counts: Ints) -> Floats:
    """As `Bins.shares`, over the last axis."""
    n_seen = counts[..., :-1].sum(axis=-1, keepdims=True)
    n_all = n_seen[..., 0] + counts[..., -1]
    missing = counts[..., -1] / np.maximum(n_all, 1)
    return np.concatenate([counts[..., :-1] / np.maximum(n_seen, 1), missing[..., None]], axis=-1)


def _psi_of(expected: Floats, actual: Floats) -> Floats:
    # Without a value in the window the feature is missing, and has not moved.
    there = actual[..., :-1].any(axis=-1) & expected[..., :-1].any(axis=-1)
    return np.where(there, psi(expected[..., :-1], actual[..., :-1]), 0.0)


def _missing_of(expected: Floats, actual: Floats) -> Floats:
    return np.abs(actual[..., -1] - expected[..., -1])


def _of_runs(statistic: Statistic, days: Ints, n: int) -> Floats:
    """The statistic of every run of `n` days, against all the other days."""
    runs = np.lib.stride_tricks.sliding_window_view(days, n, axis=0).sum(axis=-1)
    return statistic(_shares(days.sum(axis=0) - runs), _shares(runs))


def _widened(runs: Floats) -> Floats:
    """From (runs, features) to the band of each, that all stay in together at LEVEL.

    Each half of the time says how far all features go beyond the bands that the other half gives.
    """
    halves = np.array_split(runs, 2)
    beyond = [
        (one / _band(other)).max(axis=1) for one, other in zip(halves, halves[::-1], strict=True)
    ]
    wide: Floats = _band(runs) * max(1.0, float(np.quantile(np.concatenate(beyond), LEVEL)))
    return wide


def _band(runs: Floats) -> Floats:
    band: Floats = np.maximum(np.quantile(runs, LEVEL, axis=0), _LEAST_BAND)
    return band


def _finding(name: str, value: float, limits: tuple[float, float | None]) -> Finding:
    warn, fail = limits
    failed = fail is not None and value > fail
    says: Say = "FAIL" if failed else "WARN" if value > warn else "PASS"
    return Finding(name=name, says=says, value=value, limits=limits)
