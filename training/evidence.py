"""A judged model and all that its report shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from models.artifact import Artifact
from training.ablation import Ablation
from training.gates import Verdict
from training.judged import Judged
from training.paths import Path
from training.rows import TrainingTable


@dataclass(frozen=True)
class Evidence:
    """What was judged, on what, and what was tried on the way.

    rows : what it was judged on; `judged.row` counts in them.
    trials : how many models were fitted or stored, by what they were tried for.
    paths : other walks, where they were asked for.
    sectors : by symbol. cost : of serving, as measured.
    """

    artifact: Artifact
    verdict: Verdict
    judged: Judged
    rows: TrainingTable
    ablation: Ablation | None
    metrics: Mapping[str, float | None]
    trials: Mapping[str, int]
    sectors: Mapping[str, str]
    cost: Mapping[str, float]
    paths: tuple[Path, ...] = ()
