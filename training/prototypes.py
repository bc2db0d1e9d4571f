"""The stored training rows of the dissimilarity index, and the index above which one is strange."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from models.artifact import Prototypes, Reference
from models.dissimilarity import Dissimilarity, Standard
from training.labels import Floats

N_POINTS = 200
_MOST_ROWS = 20_000  # to learn the spread from; evenly spaced in time
_LEAST_SPREAD = 0.01  # of the mean variance: narrower directions are rounding, not structure
_USUAL, _MARGIN = 0.999, 1.5  # of later rows' index, and how much further is strange


def prototypes(fit: Floats, later: Floats, reference: Sequence[Reference]) -> Prototypes | None:
    """From the rows of the fit, and later ones that tell how far a usual row lies.

    Returns
    -------
    None when no feature has a spread to measure distances in.
    """
    fit, later = (_spaced(rows, _MOST_ROWS) for rows in (fit, later))
    z = Standard(reference).many(fit)
    variances, directions = np.linalg.eigh(np.cov(z, rowvar=False).reshape(z.shape[1], -1))
    mean = variances.mean()
    if not mean > 0.0:
        return None
    whitening = directions / np.sqrt(np.maximum(variances, _LEAST_SPREAD * mean))
    made = Prototypes(
        whitening=np.ascontiguousarray(whitening).tobytes(),
        points=np.ascontiguousarray(_spaced(z, N_POINTS) @ whitening).tobytes(),
        mean_distance=1.0,
        limit=np.finfo(float).max,
    )
    distance = float(Dissimilarity(made, reference).many(fit).mean())
    if distance == 0.0:
        return None
    made = msgspec.structs.replace(made, mean_distance=distance)
    usual = float(np.quantile(Dissimilarity(made, reference).many(later), _USUAL))
    return msgspec.structs.replace(made, limit=_MARGIN * usual)


def _spaced(rows: Floats, most: int) -> Floats:
    """At most so many rows, evenly spaced."""
    picked = np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(int)
    out: Floats = rows[picked]
    return out
