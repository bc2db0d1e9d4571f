"""Trained models that serve the intraday features, made in a blink."""

from __future__ import annotations

from typing import Literal

import lightgbm
import msgspec
import numpy as np

from models.artifact import Artifact, Calibration, Member, Reference, with_version
from models.sequence import Lstm
from stream.features.sequence import CHANNELS
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


def sequence_member(role: Literal["direction", "return"], seed: int = 0, hidden: int = 6) -> Member:
    """An LSTM of random weights over the panes' channels."""
    draw = np.random.default_rng(seed)
    n_outputs = 3 if role == "direction" else 1

    def matrix(*shape: int) -> tuple[tuple[float, ...], ...]:
        return tuple(map(tuple, draw.normal(0.0, 0.6, shape).tolist()))

    net = Lstm(
        centre=tuple(draw.normal(0.0, 0.1, len(CHANNELS)).tolist()),
        scale=tuple(draw.uniform(0.5, 2.0, len(CHANNELS)).tolist()),
        inputs=matrix(len(CHANNELS), 4 * hidden),
        recurrent=matrix(hidden, 4 * hidden),
        bias=matrix(1, 4 * hidden)[0],
        head=matrix(hidden, n_outputs),
        head_bias=matrix(1, n_outputs)[0],
    )
    text = msgspec.json.encode(net).decode()
    return Member(role=role, format="sequence", text=text, learner="sequence")


def sequence_artifact(seed: int = 0, *, pooled: bool = False) -> Artifact:
    """Random LSTMs for both roles; `pooled` adds trees for the direction."""
    members = (sequence_member("direction", seed), sequence_member("return", seed + 1))
    trees = intraday_artifact(seed)
    return with_version(
        msgspec.structs.replace(
            trees,
            name="lightgbm+sequence" if pooled else "sequence",
            members=(*trees.members, *members) if pooled else members,
            channels=CHANNELS,
        )
    )
