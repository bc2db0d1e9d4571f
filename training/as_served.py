"""Predictions as a stored model serves them: row by row, through the scorer's own code. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat

import numpy as np

from models.artifact import CLASSES, Artifact
from models.scorer import Scorer
from models.sequence import Sequences
from training.errors import TrainingRefused
from training.judged import Judged
from training.labels import Floats
from training.rows import TrainingTable
from training.splits import Rows
from training.targets import foreseen

SHARE = "share_{}"  # the metric that keeps a class's share of what was fitted


def predictions(
    scorer: Scorer, x: Floats, sequences: Sequences | None = None
) -> tuple[Floats, Floats]:
    """Probabilities, (n, 3), and expected returns in basis points, (n,): 0 where there are none."""
    scores = [scorer.score(*row) for row in asked(x, sequences)]
    p = np.array([score[:3] for score in scores], dtype=np.float64).reshape(-1, 3)
    return p, np.array([score.expected_return_bps or 0.0 for score in scores], dtype=np.float64)


def vectors(x: Floats) -> list[list[float | None]]:
    """Rows as a scorer takes them: None is no data."""
    return [[None if value != value else value for value in row] for row in x.tolist()]


def asked(
    x: Floats, sequences: Sequences | None
) -> Iterator[tuple[list[float | None], bytes | None]]:
    """Rows as a scorer takes them, each with its sequence of panes."""
    beside = repeat(None) if sequences is None else (each.tobytes() for each in sequences)
    return zip(vectors(x), beside, strict=False)


def newer(scorer: Scorer, rows: TrainingTable, picked: Rows) -> Floats:
    """The scorer's probabilities for picked rows, (n, 3); NaN up to the end of its training."""
    p = np.full((len(picked), 3), np.nan)
    after = np.flatnonzero(rows.as_of_us[picked] > (scorer.trained_until_us or 0))
    part = rows.take(picked[after])
    p[after] = predictions(scorer, part.x, part.sequence)[0]
    return p


def judged_by(
    artifact: Artifact, scorer: Scorer, rows: TrainingTable, picked: Rows, champion: Scorer | None
) -> Judged:
    """A stored model on picked rows, as one fold, against the climatology that it was fitted on."""
    part = rows.take(picked)
    p, expected = predictions(scorer, part.x, part.sequence)
    unasked = np.full((len(picked), 3), np.nan)
    return Judged(
        row=picked,
        fold=np.zeros(len(picked), dtype=np.int64),
        symbol=part.symbol,
        as_of_us=part.as_of_us,
        entry_us=part.entry_us,
        y=part.y,
        p=p,
        baseline=np.tile(class_shares(artifact), (len(picked), 1)),
        price_only=unasked,
        champion=unasked if champion is None else newer(champion, rows, picked),
        expected=expected,
        foreseen=foreseen(artifact.target, part),
        forward_return=part.forward_return,
        cost=part.cost,
    )


def class_shares(artifact: Artifact) -> Floats:
    """Shares of bearish, neutral and bullish in what the artifact was fitted on."""
    found = [artifact.metrics.get(SHARE.format(name)) for name in CLASSES]
    if None in found:
        raise TrainingRefused(
            f"artifact {artifact.version}: expected the class shares that it was fitted on among "
            "its metrics, found none; retrain"
        )
    return np.array(found, dtype=np.float64)
