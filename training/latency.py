"""What a model costs to serve, measured here and now: never part of an artifact."""

from __future__ import annotations

import os
from pathlib import Path
from time import perf_counter

import numpy as np

from models.artifact import Artifact, to_bytes
from models.scorer import ArtifactScorer
from training.as_served import asked
from training.rows import TrainingTable
from training.splits import Rows

_ROWS = 500
_SCORERS = 10  # of one alone the allocator may have had the memory already


def served_cost(artifact: Artifact, rows: TrainingTable, picked: Rows) -> dict[str, float]:
    """Microseconds a row over some rows, the memory that a loaded scorer takes, and its bytes."""
    some = rows.take(picked[:_ROWS])
    before = _resident()
    scorers = [ArtifactScorer(artifact) for _ in range(_SCORERS)]
    held, scorer = (_resident() - before) / _SCORERS, scorers[0]
    times = []
    for row in asked(some.x, some.sequence):
        began = perf_counter()
        scorer.score(*row)
        times.append(1e6 * (perf_counter() - began))
    p50, p99 = np.quantile(times, [0.5, 0.99]) if times else (float("nan"), float("nan"))
    return {
        "a score, median, us": float(p50),
        "a score, 99th percentile, us": float(p99),
        "memory of a scorer, MB": held / 1e6,
        "artifact, MB": len(to_bytes(artifact)) / 1e6,
    }


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
