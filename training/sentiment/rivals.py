"""What other models say of the judged articles, as predictors of the same returns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from models.sentiment.model import SentimentModel, label
from stream.sentiment.directory import NOTHING_LISTED, Directory
from stream.sentiment.judge import Judge
from stream.sentiment.opinions import Opinions
from stream.sentiment.reading import read
from training.judged import Judged
from training.labels import Floats
from training.sentiment.reactions import Reactions
from training.skill import (
    LEAST_A_SESSION,
    Bounds,
    bounds,
    horizon_sessions,
    session_ics,
    sessions,
)
from training.splits import Rows


class Rival(NamedTuple):
    """Another score's daily IC on the same rows, and the model's less it."""

    name: str
    ic: Bounds
    ahead: Bounds


def said(
    model: SentimentModel, found: Reactions, rows: Rows, directory: Directory = NOTHING_LISTED
) -> Floats:
    """(n, 3) what the role would say of the rows' articles and symbols by this model."""
    opinions = Opinions(Judge(model), directory=directory)
    scores = []
    for i in rows.tolist():
        article, symbol = found.articles[i], str(found.rows.symbol[i])
        scores.append(opinions.of(article, read(article, directory), symbol).score)
    return np.array(scores, dtype=np.float64).reshape(len(rows), 3)


def compared(
    found: Reactions,
    judged: Judged,
    models: Sequence[SentimentModel],
    directory: Directory,
    seed: int,
) -> list[Rival]:
    """Daily IC of each rival's score on the judged rows, and what the model's is above it."""
    scores = {found.rows.sentiment_model or "none": found.own[judged.row]}
    for model in models:
        if label(model) not in scores:
            p = said(model, found, judged.row, directory)
            scores[label(model)] = p[:, 2] - p[:, 0]
    horizon = horizon_sessions(found.rows.rule)
    own = _daily_ics(judged.score, judged)
    return [
        Rival(name, bounds(ics, horizon, seed), bounds(own - ics, horizon, seed))
        for name, ics in ((name, _daily_ics(score, judged)) for name, score in scores.items())
    ]


def _daily_ics(score: Floats, judged: Judged) -> Floats:
    """By session; 0 where all scores are alike, so that two models have the same sessions."""
    found = []
    for rows in sessions(judged.entry_us):
        if len(rows) >= LEAST_A_SESSION:
            ics = session_ics(score[rows], judged.forward_return[rows], judged.entry_us[rows])
            found.append(float(ics[0]) if len(ics) else 0.0)
    return np.array(found)
