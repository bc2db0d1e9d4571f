"""Training without tuning: 200,000 rows of 60 features in 5 folds, on one thread as the verb."""

from __future__ import annotations

import resource
import time

import numpy as np

from training.label_rules import label_rule
from training.rows import TrainingTable
from training.splits import SplitRule
from training.train import train_model

N_ROWS, N_FEATURES, N_FOLDS = 200_000, 60, 5
MINUTE = 60_000_000


def run(stack: dict[str, str]) -> dict[str, object]:
    """Train once; seconds of the clock and of the processor, and the largest memory."""
    rows = table()
    began, cpu = time.perf_counter(), time.process_time()
    trained = train_model(rows, seed=0, num_threads=1, split=SplitRule(n_folds=N_FOLDS))
    return {
        "rows": N_ROWS,
        "features": N_FEATURES,
        "folds": N_FOLDS,
        "seconds": round(time.perf_counter() - began, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "verdict": trained.verdict.says,
        "artifact_kib": sum(len(member.text) for member in trained.artifact.members) // 1024,
    }


def table() -> TrainingTable:
    """Two years of panes of fifty symbols; three features tell a little of the return."""
    draw = np.random.default_rng(0)
    x = draw.normal(size=(N_ROWS, N_FEATURES))
    x[draw.random(x.shape) < 0.1] = np.nan
    told = np.nan_to_num(x[:, :3]).sum(axis=1)
    as_of = np.sort(draw.integers(0, 730 * 1440, N_ROWS)) * MINUTE
    return TrainingTable(
        feature_set="bench",
        feature_set_version=1,
        feature_names=tuple(f"f{i}" for i in range(N_FEATURES)),
        sentiment_model=None,
        rule=label_rule("intraday"),
        x=x,
        symbol=np.array([f"S{i:02}" for i in range(50)])[draw.integers(0, 50, N_ROWS)],
        trigger=np.full(N_ROWS, "pane"),
        as_of_us=as_of,
        entry_us=as_of + MINUTE,
        exit_us=as_of + 31 * MINUTE,
        forward_return=0.002 * (0.1 * told + draw.normal(size=N_ROWS)),
        volatility=np.full(N_ROWS, 0.002),
    )
