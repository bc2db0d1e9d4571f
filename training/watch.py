"""A champion's stored signals against what it was trained on, and against what came true."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Self

import msgspec
import numpy as np
import psycopg
from psycopg.types.json import Jsonb

from models.artifact import Artifact
from stream.errors import Refused
from stream.events import moment
from stream.features.panes import DAY_US
from training.drift import (
    GAP,
    LOSS,
    MIN_DAYS,
    MIN_RUNS,
    Bins,
    Finding,
    drifted,
    equal_bins,
    off,
    worse,
)
from training.evaluate import log_losses
from training.gates import Say, worst_of
from training.labels import Floats, Ints

WINDOW_DAYS = 5  # that are judged where nobody says since when
FIRST_DAYS = 40  # of a champion: what its later days are held against; enough for a band
_BATCH = 5_000
# What training rows are too: not of ticks, warmed up, with fresh prices.
_SIGNALS = """
SELECT *, floor(extract(epoch FROM as_of) / 86400)::int AS day FROM signals
WHERE as_of >= %(since)s AND feature_set = %(feature_set)s AND feature_set_version = %(version)s
    AND trigger <> 'tick' AND features_by_name IS NULL
    AND coalesce(abstain_reason !~ '^(warming up|stale prices)', true)
"""
_DAYS = f"SELECT DISTINCT day FROM ({_SIGNALS}) s ORDER BY 1"
_ROWS = f"""
SELECT s.day, s.features, s.model_version = %(model)s AND s.as_of > %(trained_until)s,
    s.p_bearish, s.p_neutral, s.p_bullish, o.y
FROM ({_SIGNALS}) s LEFT JOIN outcomes o USING (as_of, signal_id)
"""
_STORE = """
INSERT INTO drift_reports (model_version, since, until, says, report) VALUES (%s, %s, %s, %s, %s)
"""


class Drift(msgspec.Struct, frozen=True, kw_only=True):
    """What was found. Days are UTC, as YYYY-MM-DD; `until` is the last of the window.

    reference_days : those of the training span; `band` tells whether they suffice for one.
    matured : the champion's signals with an outcome.
    loss_by_day : mean log-loss of the champion's matured signals.
    """

    model: str
    since: str
    until: str
    rows: int
    days: int
    reference_days: int
    band: bool
    matured: int
    says: Say
    findings: tuple[Finding, ...]
    loss_by_day: dict[str, float]


@dataclass
class _Rows:
    """What is kept of the signals: counts by day and feature, and the champion's own words."""

    bins: list[Bins]
    counts: dict[int, list[Ints]] = field(default_factory=dict)
    said: list[Floats] = field(default_factory=list)  # columns as `_Said.of` takes them

    def add(self, batch: list[tuple[Any, ...]]) -> None:
        x = np.array([row[1] for row in batch], dtype=np.float64)
        days = np.array([row[0] for row in batch])
        for day in np.unique(days).tolist():
            own = x[days == day]
            found = [one.count(column) for one, column in zip(self.bins, own.T, strict=True)]
            if day in self.counts:
                found = [a + b for a, b in zip(self.counts[day], found, strict=True)]
            self.counts[day] = found
        said = [(day, *p, np.nan if y is None else y) for day, _, own, *p, y in batch if own]
        self.said.append(np.array(said, dtype=np.float64).reshape(-1, 5))

    def of(self, days: list[int]) -> list[Ints]:
        """For each feature (days, bins + 1)."""
        return [
            np.array([self.counts[day][i] for day in days], dtype=np.int64).reshape(
                len(days), len(one.shares)
            )
            for i, one in enumerate(self.bins)
        ]


@dataclass(frozen=True)
class _Said:
    """The champion's live signals: day, (n, 3) probabilities, and class or NaN."""

    day: Ints
    p: Floats
    y: Floats

    @classmethod
    def of(cls, parts: list[Floats]) -> Self:
        table = np.concatenate(parts)
        return cls(table[:, 0].astype(np.int64), table[:, 1:4], table[:, 4])

    def first_and_window(self, since: int) -> Self:
        """Without what lies between the champion's first days and the window."""
        before = np.unique(self.day[self.day < since])[:FIRST_DAYS]
        kept = np.isin(self.day, before) | (self.day >= since)
        return type(self)(self.day[kept], self.p[kept], self.y[kept])

    def matured(self) -> Self:
        known = ~np.isnan(self.y)
        return type(self)(self.day[known], self.p[known], self.y[known])


def watch(connection: psycopg.Connection, artifact: Artifact, since_us: int | None) -> Drift:
    """Judge the days from `since_us` on, by default the last WINDOW_DAYS that have signals.

    The stored days of the training span say what is expected, and the band is drawn from them;
    where those are too few, the artifact's quantiles say it, and the band comes from all days
    between the start of the span and the window. Memory holds counts by day, and the champion's own
    probabilities.

    Raises Refused where no signal fits the artifact's feature set since then.
    """
    given: dict[str, Any] = {
        "since": moment(artifact.trained_from_us),
        "feature_set": artifact.feature_set,
        "version": artifact.feature_set_version,
        "model": artifact.version,
        "trained_until": moment(artifact.trained_until_us),
    }
    days = [day for (day,) in connection.execute(_DAYS.encode(), given)]
    since = -(-since_us // DAY_US) if since_us is not None else (days or [0])[-WINDOW_DAYS:][0]
    window = [day for day in days if day >= since]
    if not window:
        raise Refused(
            f"model {artifact.version}: expected stored signals of feature set "
            f"{artifact.feature_set} version {artifact.feature_set_version} to judge, found none"
        )
    before = [day for day in days if day < since]
    trained = [day for day in before if day <= artifact.trained_until_us // DAY_US]
    reference = trained if len(trained) >= MIN_DAYS else before

    rows = _Rows([Bins.of(each) for each in artifact.reference])
    for batch in _batches(connection, given):
        rows.add(batch)
    names = [f"feature {name}" for name in artifact.feature_names]
    bins, counts = rows.bins, rows.of(reference)
    if reference is trained:  # what was served then says more than a few quantiles of it
        bins = [one.measured(each.sum(axis=0)) for one, each in zip(bins, counts, strict=True)]
    findings = drifted(names, bins, counts, rows.of(window))
    said = _Said.of(rows.said).first_and_window(since)
    findings += _of_predictions(said, since)
    matured = said.matured()
    findings += _of_outcomes(matured, since)
    return Drift(
        model=artifact.version,
        since=_day(window[0]),
        until=_day(window[-1]),
        rows=sum(int(rows.counts[day][0].sum()) for day in window),
        days=len(window),
        reference_days=len(reference),
        band=len(reference) >= MIN_RUNS * len(window),
        matured=int((matured.day >= since).sum()),
        says=worst_of(each.says for each in findings),
        findings=tuple(findings),
        loss_by_day=_by_day(matured),
    )


def store(connection: psycopg.Connection, drift: Drift) -> None:
    """Keep the report as a row of `drift_reports`."""
    report = Jsonb(msgspec.to_builtins(drift), dumps=msgspec.json.encode)
    connection.execute(_STORE, [drift.model, drift.since, drift.until, drift.says, report])


def _of_predictions(said: _Said, since: int) -> list[Finding]:
    score = said.p[:, 2] - said.p[:, 0]
    first, window = np.unique(said.day[said.day < since]), np.unique(said.day[said.day >= since])
    if len(first) < MIN_DAYS or not len(window):
        return []
    bins = equal_bins(score[said.day < since])
    counts = [
        np.stack([bins.count(score[said.day == day]) for day in days]) for days in (first, window)
    ]
    return drifted(["score"], [bins], [counts[0]], [counts[1]])[:1]


def _of_outcomes(matured: _Said, since: int) -> list[Finding]:
    y = matured.y.astype(np.int64)
    late = matured.day >= since
    found = [worse("log-loss above the first weeks'", matured.day, log_losses(matured.p, y),
                   since, LOSS)]  # fmt: skip
    for name, side in (("bearish", 0), ("bullish", 2)):
        gap = matured.p[:, side] - (y == side)
        found.append(off(f"P({name}) off what came true", matured.day[late], gap[late], GAP))
    return [each for each in found if each is not None]


def _by_day(matured: _Said) -> dict[str, float]:
    losses = log_losses(matured.p, matured.y.astype(np.int64))
    return {
        _day(day): float(losses[matured.day == day].mean())
        for day in np.unique(matured.day).tolist()
    }


def _batches(
    connection: psycopg.Connection, given: dict[str, Any]
) -> Iterator[list[tuple[Any, ...]]]:
    with connection.cursor(name="drift", binary=True) as cursor:
        cursor.execute(_ROWS.encode(), given)
        while batch := cursor.fetchmany(_BATCH):
            yield batch


def _day(number: int) -> str:
    return f"{moment(number * DAY_US):%Y-%m-%d}"
