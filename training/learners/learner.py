"""What every learner offers: rows in, artifact members out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple, Protocol, Self

import numpy as np
import numpy.typing as npt

from models.artifact import Member
from models.sequence import Sequences
from training.errors import TrainingRefused
from training.labels import Floats, Ints

MAX_ROUNDS = 150  # of a boosting; 3 x 150 trees of 7 leaves score in 20 us
STOP_AFTER = 20  # rounds without a better loss on the tune rows

Told = tuple[Floats | Ints, Floats]  # what to learn of each row, and its weight


class Block(NamedTuple):
    """Rows as a learner sees them.

    x : (n, f), NaN is missing. y : classes 0, 1, 2.
    outcome : what members for the return learn: basis points or units, cut at their extremes.
    weight : counts independent outcomes.
    known : the rows that have an outcome.
    sequence : (n, panes, channels), NaN is missing.
    """

    x: Floats
    y: Ints
    outcome: Floats
    weight: Floats
    known: npt.NDArray[np.bool_] | slice = slice(None)
    sequence: Sequences | None = None

    @property
    def classes(self) -> Told:
        """What members for the direction learn."""
        return self.y, self.weight

    @property
    def returns(self) -> Told:
        """What members for the return learn; rows without an outcome weigh nothing."""
        weight = np.zeros_like(self.weight)
        weight[self.known] = self.weight[self.known]
        return self.outcome, weight

    def take(self, rows: npt.NDArray[Any]) -> Block:
        """The rows that a mask or index picks."""
        known = self.known if isinstance(self.known, slice) else self.known[rows]
        return Block(self.x[rows], self.y[rows], self.outcome[rows], self.weight[rows], known)


class Span(NamedTuple):
    """Values that tuning may try, both ends included; whole numbers when both ends are."""

    low: float
    high: float
    log: bool = False


class Learner(Protocol):
    """Hyperparameters, and how to fit with them."""

    @property
    def name(self) -> str: ...

    @property
    def reads_sequence(self) -> bool: ...

    @property
    def space(self) -> Mapping[str, Span]:
        """What tuning may change."""

    @property
    def parameters(self) -> Mapping[str, float]:
        """The values in force of what tuning may change."""

    def changed(self, parameters: Mapping[str, float]) -> Self:
        """The same learner with other hyperparameters."""

    def fit(
        self, fit: Block, tune: Block, names: tuple[str, ...], seed: int, threads: int
    ) -> tuple[Member, ...]:
        """Members for the direction and for the return. `tune` may stop the fit, no more.

        Raises
        ------
        TrainingRefused
            A loss is not finite; says in which round.
        """


class Tunable:
    """A frozen dataclass of hyperparameters, of which tuning may change those in `space`."""

    space: ClassVar[Mapping[str, Span]]
    reads_sequence: ClassVar[bool] = False

    @property
    def parameters(self) -> Mapping[str, float]:
        return {name: getattr(self, name) for name in self.space}

    def changed(self, parameters: Mapping[str, float]) -> Self:
        changed: Self = replace(self, **parameters)  # type: ignore[type-var]
        return changed


def check_losses(name: str, losses: Floats) -> None:
    """TrainingRefused, naming the round, when one of a fit's losses is not finite."""
    bad = np.flatnonzero(~np.isfinite(losses))
    if len(bad):
        raise TrainingRefused(
            f"{name}: expected a finite loss, got {losses[bad[0]]} in round {bad[0] + 1}; "
            "look at the returns and weights of these rows, or learn more slowly"
        )
