"""Losses of a sequence network, and the terms that keep it from saying one thing of all rows.

Every one is a weighted mean over a batch; `raw` are the network's outputs.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import log_softmax, smooth_l1_loss

QUANTILES = (0.25, 0.5, 0.75)
LEAST_SPREAD = 0.1  # of the targets' standard deviation that predictions keep
MOST_APART = 0.05  # of the share of rises, said less realised
_SOFT = 0.25  # of the predictions' spread: how sharply a rise is told from a fall
_TINY = 1e-6


def focal(raw: Tensor, y: Tensor, weight: Tensor, gamma: float) -> Tensor:
    """Cross-entropy times (1 - p) ** gamma of the class that came; 0 is cross-entropy."""
    log_p = log_softmax(raw, dim=1).gather(1, y[:, None])[:, 0]
    return _mean(-((1.0 - log_p.exp()) ** gamma) * log_p, weight)


def huber(raw: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Squared up to one standard deviation, then straight; `raw` is (n, 1)."""
    return _mean(smooth_l1_loss(raw[:, 0], target, reduction="none"), weight)


def pinball(raw: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Of the quantiles QUANTILES; `raw` is (n, quantiles)."""
    at = torch.tensor(QUANTILES, dtype=raw.dtype)
    error = target[:, None] - raw
    return _mean(torch.maximum(at * error, (at - 1.0) * error).mean(dim=1), weight)


def collapsed(said: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """How far predictions lack spread, and how far their share of rises is off; 0 is healthy.

    Parameters
    ----------
    said, target : (n,), above 0 for a rise. A target of 0 is neither rise nor fall.
    """
    spread, asked = _spread(said, weight), LEAST_SPREAD * _spread(target, weight)
    flat = torch.relu(1.0 - spread / (asked + _TINY)) ** 2
    moved = weight * (target != 0.0)
    if float(moved.sum()) == 0.0:
        return flat
    rises = torch.sigmoid(said / (_SOFT * spread.detach() + _TINY))
    apart = _mean(rises, moved) - _mean((target > 0.0).to(rises.dtype), moved)
    return flat + torch.relu(apart.abs() - MOST_APART) / (1.0 - MOST_APART)


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    return (values * weight).sum() / weight.sum()


def _spread(values: Tensor, weight: Tensor) -> Tensor:
    return (_mean((values - _mean(values, weight)) ** 2, weight) + _TINY**2).sqrt()
