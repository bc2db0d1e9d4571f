"""Who speaks for a vector: the members made for its kind, or those for all others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from models.artifact import ArtifactError, Member
from models.linear import Floats

T = TypeVar("T")
Rows = npt.NDArray[np.bool_] | slice


class Speakers(Generic[T]):
    """The members of one role, as what `opened` makes of each.

    Raises
    ------
    ArtifactError
        Nobody speaks for the rest, or the scopes are not of one feature of the vector.
    """

    def __init__(
        self, members: Sequence[Member], n_features: int, opened: Callable[[Member], T]
    ) -> None:
        self._others: list[T] = []
        self._of: dict[float, list[T]] = {}
        features = {member.scope.feature for member in members if member.scope is not None}
        for member in members:
            part = opened(member)
            if member.scope is None:
                self._others.append(part)
                continue
            for value in member.scope.values:
                self._of.setdefault(value, []).append(part)
        if features and not self._others:
            raise ArtifactError("expected a member for vectors outside of all scopes; retrain")
        if len(features) > 1 or not features <= set(range(n_features)):
            raise ArtifactError(
                f"expected scopes of one of {n_features} features, got {sorted(features)}; retrain"
            )
        self._feature = next(iter(features), None)

    def of(self, x: Floats) -> list[T]:
        """Those for one vector; a missing value, NaN, is outside of all scopes."""
        if self._feature is None:
            return self._others
        return self._of.get(x[self._feature], self._others)

    def parted(self, x: Floats) -> Iterator[tuple[Rows, list[T]]]:
        """The (n, features) rows in parts, each with those who speak for them."""
        if self._feature is None:
            yield slice(None), self._others
            return
        values = x[:, self._feature]
        for value in np.intersect1d(values, list(self._of)).tolist():
            yield values == value, self._of[value]
        rest = ~np.isin(values, list(self._of))
        if rest.any():
            yield rest, self._others
