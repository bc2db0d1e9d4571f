"""Trained models that serve the intraday features, made in a blink."""

from __future__ import annotations

import lightgbm
import numpy as np

from models.artifact import Artifact, Calibration, Member, Reference, with_version
from stream.features.vector import FEATURE_SETS

FEATURES = FEATURE_SETS["intraday"]


def intraday_artifact(seed: int = 0, shares: tuple[float, float, float] | None = None) -> Artifact:
    """Two small trees on noise; with `shares` (bearish, neutral, bullish) it always says those."""
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(200, len(FEATURES.names)))
    given = {"verbose": -1, "num_threads": 1, "objective": "multiclass", "num_class": 3}
    data = lightgbm.Dataset(x, draw.integers(0, 3, len(x)))
    text = lightgbm.train({**given, "seed": seed, "num_leaves": 4}, data, 2).model_to_string()
    offsets = (0.0, 0.0, 0.0) if shares is None else tuple(np.log(shares).tolist())
    return with_version(
        Artifact(
            name="lightgbm",
            version="",
            members=(Member(role="direction", format="lightgbm", text=text),),
            calibration=Calibration(scale=float(shares is None), offsets=offsets),
            feature_set=FEATURES.name,
            feature_set_version=FEATURES.version,
            feature_names=FEATURES.names,
            sentiment_model=None,
            horizon="30m",
            horizon_s=1800.0,
            threshold=0.4,
            trained_from_us=0,
            trained_until_us=1_700_000_000_000_000,
            n_rows=len(x),
            reference=tuple(Reference(missing=1.0, quantiles={}) for _ in FEATURES.names),
            metrics={},
            code_revision="test",
            wheels={},
            seed=seed,
        )
    )
