"""Logits to probabilities that hold: one temperature."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize_scalar

from models.sentiment.model import Probabilities


def shares(logits: np.ndarray, temperature: float = 1.0) -> list[Probabilities]:
    """(n, 3) logits as probabilities."""
    scaled = logits.astype(float) / temperature
    raised = np.exp(scaled - scaled.max(-1, keepdims=True))
    return [Probabilities(*row) for row in (raised / raised.sum(-1, keepdims=True)).tolist()]


def fitted_temperature(logits: np.ndarray, labels: Sequence[int]) -> float:
    """By which logits are divided so that their log loss is least: one number, 0.25..4.

    Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.
    """
    at = (np.arange(len(labels)), np.array(labels))

    def loss(temperature: float) -> float:
        chosen = np.array(shares(logits, temperature))[at]
        return float(-np.log(np.maximum(chosen, 1e-12)).mean())

    return round(float(minimize_scalar(loss, bounds=(0.25, 4.0), method="bounded").x), 3)
