"""One name for all that training sees of a table."""

from __future__ import annotations

import hashlib
from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt

from training.rows import TrainingTable


def fingerprint(rows: TrainingTable) -> str:
    """Hex sha256 of the rows, the features' names, the label rule and the sentiment model."""
    facts = (
        rows.feature_set,
        rows.feature_set_version,
        rows.feature_names,
        rows.sentiment_model,
        rows.rule,
    )
    digest = hashlib.sha256(repr(facts).encode())
    for name, values in {**arrays(rows), "x": rows.x}.items():
        digest.update(f"\0{name}\0".encode())
        if values.dtype.kind == "U":  # its width is that of the longest text
            digest.update("\0".join(values.tolist()).encode())
        else:
            digest.update(values.tobytes())
    return digest.hexdigest()


def arrays(rows: TrainingTable) -> dict[str, npt.NDArray[Any]]:
    """Every array of the table but that of the features."""
    found = {each.name: getattr(rows, each.name) for each in fields(rows)}
    del found["x"]
    return {name: values for name, values in found.items() if isinstance(values, np.ndarray)}
