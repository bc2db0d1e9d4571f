"""Walking forward: each block is scored by models that saw labels of the days before it only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from stream.errors import Refused
from training.labels import Floats
from training.stocknet.inputs import Inputs, standardised
from training.stocknet.learners import LEARNERS, LIGHTGBM, LOGISTIC, RIDGE, fit

ENSEMBLE = "ensemble"
_REFIT_MONTHS = {RIDGE: 1, LOGISTIC: 1, LIGHTGBM: 3}  # the last costs the most, by far
_LEAST = 500  # rows to learn from


@dataclass(frozen=True)
class Block:
    """Rows to score, [first, until) in days; all rows with a label before `first` are learnt."""

    first: np.datetime64
    until: np.datetime64


def blocks(first: np.datetime64, until: np.datetime64, learner: str) -> list[Block]:
    """Of [first, until), from one refit of the learner to the next."""
    edges = [first]
    while edges[-1] < until:
        month = edges[-1].astype("datetime64[M]") + _REFIT_MONTHS[learner]
        edges.append(min(month.astype("datetime64[D]"), until))
    return [Block(a, b) for a, b in pairwise(edges)]


def walk(
    inputs: Inputs,
    target: Floats,
    day: npt.NDArray[np.datetime64],
    spans: Sequence[tuple[np.datetime64, np.datetime64]],
    seeds: Sequence[int],
    workers: int,
    done: Callable[[float], None] = lambda share: None,
) -> dict[str, list[Floats]]:
    """Scores by learner, one a seed where it is random, and of the ensemble: their mean.

    All are standardised inside each day; NaN outside the spans. A day's label is known at its
    close, so a block learns from the days before its first one.
    """

    def one(job: tuple[str, Block]) -> tuple[str, npt.NDArray[np.bool_], list[Floats]]:
        learner, block = job
        learnt = (day < block.first) & np.isfinite(target)
        scored = (day >= block.first) & (day < block.until)
        if learnt.sum() < _LEAST:
            raise Refused(
                f"expected {_LEAST} labelled rows before {block.first}, got {learnt.sum()}"
            )
        values = inputs.scaled(learnt)
        fitted = fit(learner, values[learnt], target[learnt], seeds)
        return learner, scored, [score(values[scored]) for score in fitted]

    jobs = [(learner, block) for learner in LEARNERS for span in spans
            for block in blocks(*span, learner)
            if ((day >= block.first) & (day < block.until)).any()]  # fmt: skip
    if not jobs:
        raise Refused(f"expected days in {spans[0][0]} to {spans[-1][1]}, got none")
    found: dict[str, list[Floats]] = {}
    with ThreadPoolExecutor(workers) as pool:  # LightGBM works outside the interpreter's lock
        for n, (learner, scored, parts) in enumerate(pool.map(one, jobs), 1):
            wholes = found.setdefault(learner, [np.full(len(target), np.nan) for _ in parts])
            for whole, part in zip(wholes, parts, strict=True):
                whole[scored] = part
            done(n / len(jobs))
    found = {learner: [standardised(each, day) for each in scores]
             for learner, scores in found.items()}  # fmt: skip
    fixed = np.sum([found[learner][0] for learner in LEARNERS if learner != LIGHTGBM], axis=0)
    found[ENSEMBLE] = [standardised(fixed + each, day) for each in found[LIGHTGBM]]
    return found


def mean_score(scores: Sequence[Floats], day: npt.NDArray[np.datetime64]) -> Floats:
    """The scores of all seeds as one."""
    return standardised(np.mean(scores, axis=0), day)
