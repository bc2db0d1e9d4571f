"""Linear models over ranks: a value becomes its rank among the training rows, then a sum.

A served vector has no cross-section of its day, so the rank is a fixed function of the value: the
training distribution's, from -0.5 to 0.5. A missing value ranks in the middle, 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from models.artifact import ArtifactError
from models.row import Row

Floats = npt.NDArray[np.float64]

N_KNOTS = 33  # quantiles of each feature


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """The text of a linear member.

    knots : of each feature, ascending values; levels : their ranks, -0.5..0.5.
    coefficients : (outputs, features). intercepts : one an output.
    """

    knots: tuple[tuple[float, ...], ...]
    levels: tuple[tuple[float, ...], ...]
    coefficients: tuple[tuple[float, ...], ...]
    intercepts: tuple[float, ...]


class Ranker:
    """Values to ranks, for one vector or many, by the same arithmetic."""

    def __init__(self, knots: Sequence[Sequence[float]], levels: Sequence[Sequence[float]]) -> None:
        width = max((len(each) for each in knots), default=1)
        self._knots = np.full((len(knots), max(width, 1)), np.inf)
        shape = self._knots.shape
        self._levels, self._widths, self._rises = np.zeros(shape), np.ones(shape), np.zeros(shape)
        self._low, self._high = np.zeros(len(knots)), np.zeros(len(knots))
        self._begins = np.arange(len(knots)) * shape[1]  # of each feature, in the flat arrays
        for i, (at, level) in enumerate(zip(knots, levels, strict=True)):
            corners = np.array(at or (0.0,)), np.array(level or (0.0,))
            n = len(corners[0])
            self._knots[i, :n], self._levels[i, :n] = corners
            self._widths[i, : n - 1], self._rises[i, : n - 1] = map(np.diff, corners)
            self._low[i], self._high[i] = corners[0][0], corners[0][-1]
        self._above = np.ascontiguousarray(self._knots.T[1:])  # one row is counted faster this way

    def row(self, x: Floats) -> Floats:
        """(f,) values to (f,) ranks."""
        inside = np.minimum(np.maximum(x, self._low), self._high)
        at = (self._above <= inside).sum(axis=0)
        return self._between(self._begins + at, inside)

    def many(self, x: Floats) -> Floats:
        """(n, f) values to (n, f) ranks."""
        out = np.empty_like(x)
        for i, column in enumerate(x.T):
            inside = np.minimum(np.maximum(column, self._low[i]), self._high[i])
            at = np.searchsorted(self._knots[i], inside, side="right") - 1
            at[np.isnan(column)] = 0
            out[:, i] = self._between(self._begins[i] + at, inside)
        return out

    def _between(self, at: npt.NDArray[np.intp], inside: Floats) -> Floats:
        way = (inside - self._knots.take(at)) / self._widths.take(at)
        rank: Floats = self._levels.take(at) + self._rises.take(at) * way
        rank[np.isnan(inside)] = 0.0
        return rank


class LinearModel:
    """A linear member at work.

    Raises
    ------
    ArtifactError
        The text is no `Line`, or not of so many features and outputs.
    """

    def __init__(self, text: str, n_features: int, n_outputs: int) -> None:
        try:
            line = msgspec.json.decode(text, type=Line)
        except msgspec.DecodeError as error:
            raise ArtifactError(f"member: expected a linear model, {error}; retrain") from None
        widths = {len(line.knots), len(line.levels), *map(len, line.coefficients)}
        if widths != {n_features}:
            raise ArtifactError(
                f"member: expected {n_features} features, got {sorted(widths)}; retrain"
            )
        if {len(line.coefficients), len(line.intercepts)} != {n_outputs}:
            raise ArtifactError(
                f"member: expected {n_outputs} outputs, got {len(line.intercepts)}; retrain"
            )
        if any(
            len(at) != len(level) or list(at) != sorted(set(at))
            for at, level in zip(line.knots, line.levels, strict=True)
        ):
            raise ArtifactError("member: expected ascending knots, a level each; retrain")
        self.ranker = Ranker(line.knots, line.levels)
        self.coefficients = np.array(line.coefficients)
        self.intercepts = np.array(line.intercepts)

    def raw(self, row: Row) -> list[float]:
        """Raw scores of one vector."""
        ranks = self.ranker.row(row.values)
        out: list[float] = (self.coefficients @ ranks + self.intercepts).tolist()
        return out

    def many(self, x: Floats) -> Floats:
        """(n, features) to (n, outputs); NaN is missing."""
        out: Floats = self.ranker.many(x) @ self.coefficients.T + self.intercepts
        return out

    def shares(self, x: Floats) -> Floats:
        """(f,) values to (outputs, f): what each feature adds to the raw score."""
        out: Floats = self.coefficients * self.ranker.row(x)
        return out
