"""Several learners pooled: each tempered on the tune rows, then averaged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import msgspec
import numpy as np

from models.artifact import CLASSES, Member
from models.pool import Pool
from training.calibrate import fit_scale, fit_slope
from training.learners.learner import Block, Learner, Span


@dataclass(frozen=True)
class Ensemble:
    """Learners of different names."""

    learners: tuple[Learner, ...]

    @property
    def name(self) -> str:
        return "+".join(each.name for each in self.learners)

    @property
    def reads_sequence(self) -> bool:
        return any(each.reads_sequence for each in self.learners)

    @property
    def space(self) -> Mapping[str, Span]:
        return {
            f"{each.name}.{name}": span
            for each in self.learners
            for name, span in each.space.items()
        }

    @property
    def parameters(self) -> Mapping[str, float]:
        return {
            f"{each.name}.{name}": value
            for each in self.learners
            for name, value in each.parameters.items()
        }

    def changed(self, parameters: Mapping[str, float]) -> Self:
        own = [
            {
                name.removeprefix(f"{each.name}."): value
                for name, value in parameters.items()
                if name.startswith(f"{each.name}.")
            }
            for each in self.learners
        ]
        changed = (each.changed(mine) for each, mine in zip(self.learners, own, strict=True))
        return type(self)(tuple(changed))

    def fit(
        self, fit: Block, tune: Block, names: tuple[str, ...], seed: int, threads: int
    ) -> tuple[Member, ...]:
        members = [
            member
            for i, each in enumerate(self.learners)
            for member in each.fit(fit, tune, names, seed + i, threads)
        ]
        prior = np.bincount(fit.y, minlength=3) / len(fit.y)
        directions = [each for each in members if each.role == "direction"]
        returns = [each for each in members if each.role == "return"]
        n = len(names)
        trust = [
            fit_scale(Pool([each], n, len(CLASSES)).many(tune.x, tune.sequence), tune.y, prior)
            for each in directions
        ]
        told = [Pool([each], n, 1).many(tune.x, tune.sequence)[:, 0] for each in returns]
        slopes = [fit_slope(one[tune.known], tune.outcome[tune.known]) for one in told]
        return (*_weighted(directions, trust), *_weighted(returns, slopes))


def _weighted(members: Sequence[Member], trust: Sequence[float]) -> list[Member]:
    """Weights that sum to 1, by trust, without those of none; equal ones when all have none."""
    if (total := sum(trust)) == 0.0:
        return [msgspec.structs.replace(each, weight=1 / len(members)) for each in members]
    return [
        msgspec.structs.replace(member, weight=own / total)
        for member, own in zip(members, trust, strict=True)
        if own > 0.0
    ]
