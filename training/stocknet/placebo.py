"""The same walk with moves that nothing can tell: whatever it finds, the method made up."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from training.labels import Floats
from training.stocknet.daily import by_day, daily_ics
from training.stocknet.features import Rows
from training.stocknet.inputs import Inputs, day_ranks
from training.stocknet.learners import RIDGE, RIDGE_SHARE
from training.stocknet.walk import blocks

DRAWS = 20
_NEAREST, _REACH = 21, 260  # days: a month off, and no window reaches back to a shifted move


class Placebo(NamedTuple):
    """Mean daily IC of each draw, their mean, and the band of 95 % of them."""

    name: str
    ics: list[float]
    mean: float
    low: float
    high: float


def placebos(
    rows: Rows, inputs: Inputs, first: np.datetime64, until: np.datetime64, seed: int
) -> list[Placebo]:
    """Ridge walked from `first` to `until` on moves shuffled inside each day, and on shifted ones.

    Shifted: a row gets its symbol's move of some days later, in learning and judging alike, by 20
    offsets; the last days get moves of the first, too far back for any input to hold them (a span
    too short for that has no such placebo). A symbol that rises over years does so on the wrong
    days too, so the shifted moves come once as they are and once less each symbol's own mean. Rows
    from `until` on are not touched.
    """
    before = rows.day < until
    rows, inputs = rows.taken(before), Inputs(inputs.values[before], inputs.sized)
    rng = np.random.default_rng(seed)
    kinds = {"moves shuffled inside each day": [_shuffled(rows, rng) for _ in range(DRAWS)]}
    furthest = len(np.unique(rows.day)) - _REACH
    if furthest >= _NEAREST + DRAWS:
        offsets = np.linspace(_NEAREST, furthest, DRAWS).astype(int)
        shifted = [_shifted(rows, int(each)) for each in offsets]
        says = f"moves of {offsets[0]} to {offsets[-1]} days later"
        kinds[says] = shifted
        kinds[f"{says}, less each symbol's mean"] = [_own_mean_off(rows, each) for each in shifted]
    moves = np.column_stack([move for draws in kinds.values() for move in draws])
    scores = _ridge(rows, inputs, moves, first, until)
    ics = [float(np.mean(daily_ics(scores[:, i], moves[:, i], rows.day)[1]))
           for i in range(moves.shape[1])]  # fmt: skip
    return [_placebo(name, ics[n * DRAWS : (n + 1) * DRAWS]) for n, name in enumerate(kinds)]


def _ridge(
    rows: Rows, inputs: Inputs, moves: Floats, first: np.datetime64, until: np.datetime64
) -> Floats:
    """Scores of all draws at once: they share inputs, so each block is solved once."""
    targets = day_ranks(pd.DataFrame(moves), rows.day)
    scores = np.full(moves.shape, np.nan)
    for block in blocks(first, until, RIDGE):
        learnt = rows.day < block.first
        scored = ~learnt & (rows.day < block.until)
        if not scored.any():
            continue
        values = inputs.scaled(learnt)
        x = values[learnt]
        shrunk = x.T @ x + RIDGE_SHARE * len(x) * np.eye(x.shape[1])
        scores[scored] = values[scored] @ np.linalg.solve(shrunk, x.T @ targets[learnt])
    return scores


def _shuffled(rows: Rows, rng: np.random.Generator) -> Floats:
    out = rows.move.copy()
    for day in by_day(rows.day):
        known = day[np.isfinite(out[day])]
        out[known] = rng.permutation(out[known])
    return out


def _shifted(rows: Rows, offset: int) -> Floats:
    days, at = np.unique(rows.day, return_inverse=True)
    symbols, column = np.unique(rows.symbol, return_inverse=True)
    moves = np.full((len(days), len(symbols)), np.nan)
    moves[at, column] = rows.move
    found: Floats = moves[(at + offset) % len(days), column]
    return found


def _own_mean_off(rows: Rows, move: Floats) -> Floats:
    relative = pd.Series(move) - pd.Series(move).groupby(rows.day).transform("mean")
    found: Floats = (relative - relative.groupby(rows.symbol).transform("mean")).to_numpy()
    return found


def _placebo(name: str, ics: list[float]) -> Placebo:
    low, high = np.percentile(ics, (2.5, 97.5))
    return Placebo(name, ics, float(np.mean(ics)), float(low), float(high))
