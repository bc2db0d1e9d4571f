"""Judged predictions made by hand: a modest, honest skill unless changed."""

from typing import Any

import numpy as np

from training.calibrate import softmax
from training.judged import Judged
from training.label_rules import label_rule

DAY = 86_400_000_000
SHARES = np.array([0.3, 0.4, 0.3])
RULE = label_rule("intraday")


def make_judged(
    skill: float = 0.1, n: int = 12_000, n_days: int = 60, seed: int = 0, **changes: Any
) -> Judged:
    """Outcomes drawn from probabilities that the model knows; returns follow their classes."""
    draw = np.random.default_rng(seed)
    lean = draw.normal(size=n)
    truth = softmax(np.log(SHARES) + np.outer(lean, [-skill, 0.0, skill]))
    y = (draw.random(n)[:, None] > truth.cumsum(axis=1)).sum(axis=1)
    at = np.sort(draw.integers(0, n_days * DAY, n))
    moves = (y - 1) * 0.0010 + draw.normal(size=n) * 0.0005
    given: dict[str, Any] = {
        "row": np.arange(n),
        "fold": np.arange(n) * 3 // max(1, n),
        "symbol": np.full(n, "AAA"),
        "as_of_us": at,
        "entry_us": at,
        "y": y,
        "p": truth,
        "baseline": np.tile(SHARES, (n, 1)),
        "price_only": np.full((n, 3), np.nan),
        "champion": np.full((n, 3), np.nan),
        "expected": 10.0 * (truth[:, 2] - truth[:, 0]),
        "foreseen": 1e4 * changes.get("forward_return", moves),
        "forward_return": moves,
        "cost": np.full(n, 2e-4),
    }
    return Judged(**{**given, **changes})
