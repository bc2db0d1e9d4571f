"""How far a vector lies from the training rows, for combinations that ranges cannot see.

The dissimilarity index of Meyer and Pebesma ("Predicting into unknown space?", Methods in Ecology
and Evolution, 2021): the distance to the nearest training row over the mean such distance. Here
the rows are some hundred stored ones, and the space is whitened: a pair of features that always
move together and now part is far away, though both values are usual. Missing values count as
medians, so such a pair must be missing together to be known as one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.artifact import ArtifactError, Prototypes, Reference
from models.linear import Floats
from models.row import Row

_MOST = 3.0  # standard values are cut here: one wild value is a matter of ranges
_TENTHS = 2.563  # standard deviations between the first and the last tenth of a normal


class Dissimilarity:
    """The index of one vector or many; 10 to 20 us a vector.

    Raises
    ------
    ArtifactError
        The arrays do not belong together.
    """

    def __init__(self, prototypes: Prototypes, reference: Sequence[Reference]) -> None:
        self._standard = Standard(reference)
        try:
            self._whitening = np.frombuffer(prototypes.whitening, "<f8").reshape(len(reference), -1)
            points = np.frombuffer(prototypes.points, "<f8").reshape(-1, self._whitening.shape[1])
        except ValueError as error:
            raise ArtifactError(f"prototypes: {error}; retrain") from None
        if not len(points):
            raise ArtifactError("prototypes: expected points, got none; retrain")
        self._squares = (points**2).sum(axis=1)
        self._double = 2.0 * points
        self._mean, self.limit = prototypes.mean_distance, prototypes.limit

    def row(self, row: Row) -> float:
        """The index of one vector; a missing value counts as the centre."""
        at = self._standard.many(row.values) @ self._whitening
        nearest = float((self._squares - self._double @ at).min() + at @ at)
        out: float = max(nearest, 0.0) ** 0.5 / self._mean
        return out

    def many(self, x: Floats) -> Floats:
        """(n, f) to (n,)."""
        at = self._standard.many(x) @ self._whitening
        nearest = (self._squares - at @ self._double.T).min(axis=1) + (at**2).sum(axis=1)
        out: Floats = np.sqrt(np.maximum(nearest, 0.0)) / self._mean
        return out


class Standard:
    """Values by their distance from the median, in units of the spread between the tenths."""

    def __init__(self, reference: Sequence[Reference]) -> None:
        low, self._centre, high = np.array(
            [[one.quantiles.get(q, 0.0) for one in reference] for q in ("0.1", "0.5", "0.9")]
        )
        spread = (high - low) / _TENTHS
        self._inverse = np.divide(1.0, spread, out=np.zeros(len(spread)), where=spread > 0.0)
        self._low, self._high = self._centre - _MOST * spread, self._centre + _MOST * spread

    def many(self, x: Floats) -> Floats:
        """Of (f,) or (n, f), cut to -3..3; missing values are 0, as features without spread."""
        inside = np.minimum(np.maximum(x, self._low), self._high)
        z = (inside - self._centre) * self._inverse
        out: Floats = np.where(np.isnan(z), 0.0, z)
        return out
