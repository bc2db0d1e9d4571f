"""The members of a role at work: the raw scores of those who speak, weighted and added up.

For the direction that is a logarithmic opinion pool, the average of log-probabilities: what each
feature adds to each member's log-odds stays a sum, so a pool can be explained.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import NamedTuple, Protocol

import numpy as np

from models.artifact import ArtifactError, Member
from models.lightgbm_row import RowModel
from models.linear import Floats, LinearModel
from models.row import Row
from models.scope import Speakers
from models.sequence import SequenceModel, Sequences

LEAST_P = 1e-6  # of a member that gives probabilities


class Model(Protocol):
    """What a member's text becomes. NaN is missing."""

    def raw(self, row: Row) -> list[float]:
        """One vector to its outputs."""

    def many(self, x: Floats) -> Floats:
        """(n, features) to (n, outputs)."""


def opened(member: Member, n_features: int, n_outputs: int) -> Model | SequenceModel:
    """The member, read; ArtifactError when it cannot be or has another shape."""
    if member.format == "sequence":
        return SequenceModel(member.text, n_outputs)
    if member.format == "linear":
        return LinearModel(member.text, n_features, n_outputs)
    return RowModel(member.text, n_features, n_outputs)


class Part(NamedTuple):
    """A member at work."""

    model: Model | SequenceModel
    weight: float
    bias: tuple[float, ...]
    is_probability: bool


class Pool:
    """Members of one role, for one thread.

    Raises
    ------
    ArtifactError
        A member is unreadable or of another shape than said, or none speaks for some vectors.
    """

    def __init__(self, members: Sequence[Member], n_features: int, n_outputs: int) -> None:
        def part(member: Member) -> Part:
            if len(member.bias) not in (0, n_outputs):
                raise ArtifactError(
                    f"member {member.learner}: expected {n_outputs} biases, "
                    f"got {len(member.bias)}; retrain"
                )
            model = opened(member, n_features, n_outputs)
            if isinstance(model, SequenceModel):
                self.n_channels.add(model.n_channels)
            return Part(
                model,
                member.weight,
                member.bias or (0.0,) * n_outputs,
                member.link == "probability",
            )

        self.n_channels: set[int] = set()
        self._speakers = Speakers(members, n_features, part)
        self._zeros = [0.0] * n_outputs

    def raw(self, row: Row, sequence: bytes | None = None) -> list[float]:
        """The pooled raw scores of one vector, and of the sequence of panes beside it."""
        total = self._zeros
        for model, weight, bias, is_probability in self._speakers.of(row.values):
            scores = model.raw(sequence) if isinstance(model, SequenceModel) else model.raw(row)
            if is_probability:
                scores = [log(max(p, LEAST_P)) for p in scores]
            total = [
                so_far + weight * (score + one)
                for so_far, score, one in zip(total, scores, bias, strict=True)
            ]
        return total

    def many(self, x: Floats, sequences: Sequences | None = None) -> Floats:
        """(n, features), and (n, panes, channels), to (n, outputs), as `raw` gives row by row."""
        total = np.zeros((len(x), len(self._zeros)))
        for rows, parts in self._speakers.parted(x):
            own, panes = x[rows], None if sequences is None else sequences[rows]
            for model, weight, bias, is_probability in parts:
                scores = model.many(panes) if isinstance(model, SequenceModel) else model.many(own)
                if is_probability:
                    scores = np.log(np.maximum(scores, LEAST_P))
                total[rows] += weight * (scores + np.array(bias))
        return total
