"""What a model's expected return is of: how rows teach it, and in what it is counted."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from models.unit import Target, Unit
from training.errors import TrainingRefused
from training.label_rules import LabelRule
from training.labels import Floats
from training.learners.learner import Block
from training.market_return import MIN_SYMBOLS
from training.rows import TrainingTable
from training.weights import uniqueness

_CLIP = 0.005  # of raw returns at each end


class Aim(NamedTuple):
    """A target and, of raw returns, the fractions to cut them at."""

    target: Target
    low: float
    high: float

    def block(self, rows: TrainingTable) -> Block:
        """The rows as learners see them; TrainingRefused where none has an outcome."""
        if self.target == "raw":
            bps = 1e4 * np.clip(rows.forward_return, self.low, self.high)
            return Block(rows.x, rows.y, bps, uniqueness(rows), sequence=rows.sequence)
        if self.target == "scaled":
            return Block(rows.x, rows.y, rows.target, uniqueness(rows), sequence=rows.sequence)
        market = rows.market_return
        known = np.zeros(len(rows), dtype=bool) if market is None else ~np.isnan(market)
        if not known.any():
            raise TrainingRefused(
                f"target relative: expected rows whose market's return is known, got none of "
                f"{len(rows):,}; it takes {MIN_SYMBOLS} symbols that enter in the same pane"
            )
        units = np.where(known, rows.relative_target, 0.0)
        return Block(rows.x, rows.y, units, uniqueness(rows), known, rows.sequence)


def aim_at(target: Target, fit: TrainingTable) -> Aim:
    """The target, cut by what the fit rows say is extreme."""
    low, high = np.nanquantile(fit.forward_return, [_CLIP, 1.0 - _CLIP])
    return Aim(target, low, high)


def unit_of(target: Target, rule: LabelRule) -> Unit | None:
    """What an artifact's returns are counted in; None: basis points."""
    if target == "raw":
        return None
    return Unit(
        feature=rule.volatility,
        scale_bps=1e4 * rule.volatility_scale,
        floor_bps=1e4 * rule.cost,
    )


def unit_bps(target: Target, rows: TrainingTable) -> Floats:
    """Basis points of each row's unit, as the scorer of such an artifact finds them."""
    return np.ones(len(rows)) if target == "raw" else 1e4 * rows.unit


def foreseen(target: Target, rows: TrainingTable) -> Floats:
    """What came of that which is expected, in basis points; NaN where the market is not known."""
    if target != "relative":
        return 1e4 * rows.forward_return
    market = rows.market_return
    return 1e4 * (rows.forward_return - (np.nan if market is None else market))


def without_market(target: Target, rows: TrainingTable) -> dict[str, float]:
    """The metric that counts rows which teach and judge no expected return."""
    if target != "relative":
        return {}
    return {"n_without_market": float(np.isnan(foreseen(target, rows)).sum())}
