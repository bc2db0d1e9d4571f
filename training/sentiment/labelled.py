"""Texts that somebody labelled, from CSV or JSON Lines, as three target shares each.

A row has a text (column text, sentence, headline or title) and one of

    label      negative, neutral, positive, bearish, bullish, or -1, 0, 1
    score      a grade in -1..1, cut into classes at the data set's own percentiles
    negative, neutral, positive    shares that another model gave: its student learns from them

Further columns are kept: rows are grouped by `id` and `source`, and `split` can be chosen.
"""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from models.sentiment.model import Probabilities
from stream.sentiment.text import clean
from training.errors import TrainingRefused

_TEXT = ("text", "sentence", "headline", "title")
_LABELS = {
    "negative": 0, "bearish": 0, "-1": 0,
    "neutral": 1, "0": 1,
    "positive": 2, "bullish": 2, "1": 2,
}  # fmt: skip
_SHARES = Probabilities._fields
POLAR = 0.1  # a smaller grade says neither good nor bad


class Labelled(NamedTuple):
    """One text, what it should be called, and how much it counts."""

    text: str
    target: Probabilities
    weight: float
    source: str
    score: float | None = None  # the grade, where somebody gave one

    @property
    def label(self) -> int:
        """0 negative, 1 neutral, 2 positive: the largest share."""
        return max(range(3), key=self.target.__getitem__)


def read_labelled(given: str) -> list[Labelled]:
    """The rows of `PATH`, `PATH@WEIGHT` or `PATH?COLUMN=VALUE@WEIGHT` in the file's order.

    Raises
    ------
    TrainingRefused
        The file, its columns or a label is not what is expected; names the line.

    Examples
    --------
    `sentences.csv.gz?split=train@0.5`: the rows of one split, each with half a row's weight.
    """
    place, _, weight = given.partition("@")
    name, _, chosen = place.partition("?")
    path = Path(name)
    column, _, wanted = chosen.partition("=")
    rows = [
        (line, row)
        for line, row in enumerate(_rows(path), 2)
        if not column or str(row.get(column)) == wanted
    ]
    if not rows:
        raise TrainingRefused(f"{given}: expected labelled rows, found none")
    text_column = next((each for each in _TEXT if each in rows[0][1]), None)
    if text_column is None:
        raise TrainingRefused(f"{path}: expected a column {' or '.join(_TEXT)}")
    cuts = _percentiles([float(row["score"]) for _, row in rows]) if _graded(rows[0][1]) else None
    found = []
    for line, row in rows:
        text = clean(str(row[text_column]))
        if not text:
            continue
        try:
            target, score = _target(row, cuts)
            found.append(Labelled(text, target, float(weight or 1), path.name, score))
        except (KeyError, ValueError) as error:
            raise TrainingRefused(
                f"{path}, line {line}: expected a label ({', '.join(_LABELS)}), a score in -1..1 "
                f"or three shares, got {error}"
            ) from None
    return found


def read_texts(place: str) -> list[str]:
    """The texts of a file whose rows need no label, in its order, without empty ones."""
    found = (
        clean(str(row[column])) for row in _rows(Path(place)) for column in _TEXT if column in row
    )
    return [text for text in found if text]


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        opened = gzip.open if path.suffix == ".gz" else open
        with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
            if ".jsonl" in path.suffixes:
                yield from (json.loads(line) for line in file if line.strip())
            else:
                yield from csv.DictReader(file)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise TrainingRefused(f"{path}: expected labelled texts as CSV or JSONL: {error}") from None


def _graded(row: Mapping[str, Any]) -> bool:
    return "score" in row and "label" not in row


def _target(
    row: Mapping[str, Any], cuts: tuple[float, float] | None
) -> tuple[Probabilities, float | None]:
    if cuts is not None:
        score = float(row["score"])
        if not -1 <= score <= 1:
            raise ValueError(score)
        return _one_hot(0 if score <= cuts[0] else 2 if score >= cuts[1] else 1), score
    if "label" in row:
        return _one_hot(_LABELS[str(row["label"]).strip().lower()]), None
    shares = [float(row[name]) for name in _SHARES]
    if min(shares) < 0 or abs(sum(shares) - 1) > 1e-3:
        raise ValueError(shares)
    return Probabilities(*(share / sum(shares) for share in shares)), None


def _one_hot(label: int) -> Probabilities:
    return Probabilities(*(float(label == each) for each in range(3)))


def _percentiles(scores: Sequence[float]) -> tuple[float, float]:
    """Where negative ends and positive begins: the middle third of the grades, around 0."""
    ordered = sorted(scores)
    low, high = ordered[len(ordered) // 3], ordered[2 * len(ordered) // 3]
    return min(low, -POLAR), max(high, POLAR)
