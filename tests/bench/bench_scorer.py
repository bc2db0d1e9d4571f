"""Scoring one row at a time: LightGBM's C row path against Booster.predict, and an ensemble."""

from __future__ import annotations

import time
from collections.abc import Callable

import lightgbm
import numpy as np

from models.artifact import Artifact, Calibration, Member, Reference, to_bytes, with_version
from models.lightgbm_row import RowModel
from models.row import Row
from models.scorer import ArtifactScorer
from tests.bench.bench_retrain import table
from training.learners.named import learner
from training.train import train_model, untuned

ENSEMBLES = ("lightgbm", "lightgbm+xgboost+boosting", "lightgbm+xgboost+forest+boosting+linear")
N_FEATURES, N_ROWS, TREES, LEAVES = 50, 20_000, 300, 63


def run(stack: dict[str, str]) -> dict[str, object]:
    """Train once, time each path over the same rows; medians in microseconds."""
    draw = np.random.default_rng(0)
    x = draw.normal(size=(N_ROWS, N_FEATURES))
    x[draw.random(x.shape) < 0.1] = np.nan
    y = np.nan_to_num(x[:, :5]).sum(axis=1) + draw.normal(size=N_ROWS)
    one = booster(x, y, TREES, {"objective": "regression"})
    three = booster(x, np.digitize(y, [-1, 1]), TREES // 3, {"objective": "multiclass"})
    rows = [[None if np.isnan(v) else float(v) for v in row] for row in x[:2_000]]

    fast = RowModel(one.model_to_string(), N_FEATURES, 1)
    slow = one.predict(x[:2_000], num_threads=1)
    equal = all(fast.raw(Row.of(row))[0] == value for row, value in zip(rows, slow, strict=True))
    scorer = ArtifactScorer(artifact(one, three))
    fast_us = median_us(lambda row: fast.raw(Row.of(row)), rows)
    slow_us = median_us(
        lambda row: one.predict(np.array([row], dtype=float), num_threads=1), rows[:300]
    )
    return {
        "trees": TREES,
        "leaves": LEAVES,
        "features": N_FEATURES,
        "bit_equal": equal,
        "row_us": fast_us,
        "booster_predict_us": slow_us,
        "ratio": round(slow_us / fast_us, 1),
        "score_us": median_us(scorer.score, rows),
        "unlike_us": median_us(scorer.unlike, rows),
        "ensembles": {name: pooled(name) for name in ENSEMBLES},
    }


def pooled(name: str) -> dict[str, object]:
    """A model as `tapewire retrain --learner NAME` makes it, of 60 features, at work."""
    rows = table().take(np.arange(0, 200_000, 10))
    trained = train_model(rows, seed=0, chooser=untuned(learner(name)), num_threads=1)
    scorer = ArtifactScorer(trained.artifact)
    vectors = [[None if np.isnan(v) else float(v) for v in row] for row in rows.x[:1_500]]
    at_once = []
    for _ in range(9):
        began = time.process_time()
        for vector in vectors[:500]:
            scorer.score(vector)
            scorer.unlike(vector)
        at_once.append(time.process_time() - began)
    return {
        "score_us": median_us(scorer.score, vectors),
        "unlike_us": median_us(scorer.unlike, vectors),
        "500_panes_cpu_ms": round(1e3 * float(np.median(at_once)), 1),
        "artifact_kib": len(to_bytes(trained.artifact)) // 1024,
    }


def booster(x: np.ndarray, y: np.ndarray, rounds: int, more: dict[str, str]) -> lightgbm.Booster:
    parameters = {"num_leaves": LEAVES, "verbose": -1, "num_threads": 2, **more}
    if more["objective"] == "multiclass":
        parameters["num_class"] = 3
    return lightgbm.train(parameters, lightgbm.Dataset(x, y), rounds)


def artifact(one: lightgbm.Booster, three: lightgbm.Booster) -> Artifact:
    ends = dict.fromkeys(("0.001", "0.999"), 0.0) | {"0.001": -4.0, "0.999": 4.0}
    return with_version(
        Artifact(
            name="bench",
            version="",
            members=(
                Member(role="direction", format="lightgbm", text=three.model_to_string()),
                Member(role="return", format="lightgbm", text=one.model_to_string()),
            ),
            calibration=Calibration(scale=1.0, offsets=(0.0, 0.0, 0.0)),
            feature_set="bench",
            feature_set_version=1,
            feature_names=tuple(f"f{i}" for i in range(N_FEATURES)),
            sentiment_model=None,
            horizon="30m",
            horizon_s=1800.0,
            threshold=0.5,
            trained_from_us=0,
            trained_until_us=0,
            n_rows=N_ROWS,
            reference=(Reference(missing=0.1, quantiles=ends),) * N_FEATURES,
            metrics={},
            code_revision="bench",
            wheels={},
            seed=0,
        )
    )


def median_us(
    call: Callable[[list[float | None]], object], rows: list[list[float | None]]
) -> float:
    took = []
    for row in rows:
        began = time.perf_counter_ns()
        call(row)
        took.append(time.perf_counter_ns() - began)
    return round(float(np.median(took)) / 1e3, 2)
