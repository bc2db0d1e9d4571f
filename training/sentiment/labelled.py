"""Texts that somebody labelled, from CSV or JSON Lines, as three target shares each.

A row has a text (column text, sentence, headline or title) and one of

    label      negative, neutral, positive, bearish, bullish, or -1, 0, 1
    score      a grade in -1..1, cut into classes at the whole file's own percentiles
    negative, neutral, positive    shares that another model gave: its student learns from them

Its source is its column `source` or `set`, else the file's name. Any column can choose rows.
"""

from __future__ import annotations

import csv
import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from models.sentiment.model import Probabilities
from stream.sentiment.text import clean
from training.errors import TrainingRefused

_TEXT = ("text", "sentence", "headline", "title")
_SOURCE = ("source", "set")
_LABELS = {
    "negative": 0, "bearish": 0, "-1": 0,
    "neutral": 1, "0": 1,
    "positive": 2, "bullish": 2, "1": 2,
}  # fmt: skip
_SHARES = Probabilities._fields
_WEIGHT = re.compile(r"(.*)@([+-]?(?:[\d.]+(?:e[+-]?\d+)?|nan|inf|infinity))", re.I | re.DOTALL)
POLAR = 0.1  # a smaller grade says neither good nor bad

_Row = Mapping[str, Any]
T = TypeVar("T")


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


class Given(NamedTuple):
    """`PATH`, `PATH@WEIGHT` or `PATH?COLUMN=VALUE@WEIGHT`, read."""

    path: Path
    column: str
    value: str
    weight: float


def asked(given: str) -> Given:
    """What of a file is asked for. Raises TrainingRefused for a weight that is none.

    Examples
    --------
    >>> asked("me@home/a.csv?split=train@0.5")
    Given(path=PosixPath('me@home/a.csv'), column='split', value='train', weight=0.5)
    """
    weighted = _WEIGHT.fullmatch(given)
    place, weight = weighted.groups() if weighted else (given, "1")
    name, _, chosen = place.partition("?")
    column, _, value = chosen.partition("=")
    try:
        counts = float(weight)
    except ValueError:
        counts = 0.0
    if not (isfinite(counts) and counts > 0):
        raise TrainingRefused(f"{given}: expected a weight above 0 after the @, got {weight}")
    return Given(Path(name), column, value, counts)


def read_labelled(given: str) -> list[Labelled]:
    """The rows that `asked` names, in the file's order, without those whose text is empty.

    Raises
    ------
    TrainingRefused
        The file, its columns, a text or a label is not what is expected; names the line.

    Examples
    --------
    `sentences.csv.gz?split=train@0.5`: the rows of one split, each with half a row's weight.
    """
    path, column, value, weight = asked(given)
    every = list(_rows(path))
    rows = [each for each in every if not column or str(each[1].get(column)) == value]
    if not rows:
        raise TrainingRefused(f"{given}: expected labelled rows, found none")
    text_column = next((each for each in _TEXT if each in rows[0][1]), None)
    if text_column is None:
        raise TrainingRefused(f"{path}: expected a column {' or '.join(_TEXT)}")
    graded = "score" in rows[0][1] and "label" not in rows[0][1]
    cuts = _percentiles([_read(path, line, _score, row) for line, row in every]) if graded else None
    found = []
    for line, row in rows:
        text = row.get(text_column)
        if not isinstance(text, str):
            raise TrainingRefused(f"{path}, line {line}: expected a {text_column}, got {text!r}")
        if not (text := clean(text)):
            continue
        source = next((str(row[each]) for each in _SOURCE if row.get(each)), path.name)
        if cuts is None:
            found.append(Labelled(text, _read(path, line, _target, row), weight, source))
        else:
            score = _read(path, line, _score, row)
            found.append(Labelled(text, _graded(score, cuts), weight, source, score))
    if not found:
        raise TrainingRefused(f"{given}: expected texts, found {len(rows)} rows without a word")
    return found


def read_texts(place: str) -> list[str]:
    """The texts of a file whose rows need no label, in its order, without empty ones."""
    given = ((line, row.get(column)) for line, row in _rows(Path(place)) for column in _TEXT)
    found = []
    for line, text in given:
        if text is None:
            continue
        if not isinstance(text, str):
            raise TrainingRefused(f"{place}, line {line}: expected a text, got {text!r}")
        found.append(clean(text))
    return [text for text in found if text]


def _rows(path: Path) -> Iterator[tuple[int, _Row]]:
    """Each row and the line on which it ends."""
    try:
        opened = gzip.open if path.suffix == ".gz" else open
        with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
            if ".jsonl" in path.suffixes:
                for n, line in enumerate(file, 1):
                    if line.strip():
                        yield n, _json(path, n, line)
            else:
                reader = csv.DictReader(file)
                for row in reader:
                    yield reader.line_num, row
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise TrainingRefused(f"{path}: expected labelled texts as CSV or JSONL: {error}") from None


def _json(path: Path, n: int, line: str) -> _Row:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        row = error
    if not isinstance(row, dict):
        raise TrainingRefused(
            f"{path}, line {n}: expected labelled texts as CSV or JSONL, an object a line, "
            f"got {row!s:.80}"
        )
    return row


def _read(path: Path, line: int, read: Callable[[_Row], T], row: _Row) -> T:
    try:
        return read(row)
    except (TypeError, ValueError) as error:
        raise TrainingRefused(
            f"{path}, line {line}: expected a label ({', '.join(_LABELS)}), a score in -1..1 "
            f"or three shares that sum to 1, got {error}"
        ) from None


def _score(row: _Row) -> float:
    given = row.get("score")
    try:
        score = float(given)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise ValueError(f"score {given!r}") from None
    if not -1 <= score <= 1:
        raise ValueError(f"score {given!r}")
    return score


def _graded(score: float, cuts: tuple[float, float]) -> Probabilities:
    return _one_hot(0 if score <= cuts[0] else 2 if score >= cuts[1] else 1)


def _target(row: _Row) -> Probabilities:
    if "label" in row:
        label = _LABELS.get(str(row["label"]).strip().lower())
        if label is None:
            raise ValueError(repr(row["label"]))
        return _one_hot(label)
    given = [row.get(name) for name in _SHARES]
    try:
        shares = [float(each) for each in given]  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise ValueError(f"shares {given}") from None
    if not (min(shares) >= 0 and abs(sum(shares) - 1) <= 1e-3):  # so, NaN fails too
        raise ValueError(f"shares {given}")
    return Probabilities(*(share / sum(shares) for share in shares))


def _one_hot(label: int) -> Probabilities:
    return Probabilities(*(float(label == each) for each in range(3)))


def _percentiles(scores: Sequence[float]) -> tuple[float, float]:
    """Where negative ends and positive begins: the middle third of the grades, around 0."""
    ordered = sorted(scores)
    low, high = ordered[len(ordered) // 3], ordered[2 * len(ordered) // 3]
    return min(low, -POLAR), max(high, POLAR)
