"""What a sentiment model is good at, and where it is not. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from models.sentiment.model import Probabilities
from training.sentiment.labelled import POLAR, Labelled

NAMES = Probabilities._fields
_BINS = 15  # of the reliability diagram, equal in width
_DRAWS = 1_000
_LENGTHS = (0, 5, 10, 20, 40, 10**6)  # words: first inside, last outside
_MOST_ERRORS = 100


class Interval(NamedTuple):
    """A share with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


class PerClass(NamedTuple):
    precision: float
    recall: float
    f1: float
    n: int  # texts


class Bin(NamedTuple):
    """Texts whose highest probability lies in (low, high]."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


class Part(NamedTuple):
    """Texts of one source or length."""

    name: str
    n: int
    accuracy: float
    macro_f1: float


class Graded(NamedTuple):
    """Against grades in -1..1: P(positive) - P(negative) as the model's own grade."""

    n: int
    pearson_r: float
    sign_accuracy: float  # of grades of at least POLAR in size


class Mistake(NamedTuple):
    text: str
    wanted: str
    said: str
    confidence: float


class Evaluation(NamedTuple):
    """Of one model on labelled texts; classes in the order negative, neutral, positive."""

    n: int
    accuracy: Interval
    macro_f1: Interval
    ece: float
    classes: dict[str, PerClass]
    confusion: list[list[int]]  # rows: wanted, columns: said
    reliability: list[Bin]
    by_source: list[Part]
    by_length: list[Part]
    graded: Graded | None
    mistakes: list[Mistake]  # the surest first


def evaluate(
    rows: Sequence[Labelled], said: Sequence[Probabilities], *, seed: int = 0
) -> Evaluation:
    """Compare what a model said of each row's text with its label.

    Parameters
    ----------
    said : one result a row, in the rows' order.
    seed : of the bootstrap.
    """
    wanted = np.array([row.label for row in rows])
    shares = np.array(said, dtype=float).reshape(len(rows), 3)
    labels = shares.argmax(-1)
    parts = precision_recall_fscore_support(wanted, labels, labels=[0, 1, 2], zero_division=0)
    bins = reliability(shares.max(-1), labels == wanted)
    return Evaluation(
        n=len(rows),
        accuracy=_interval(wanted, labels, _accuracy, seed),
        macro_f1=_interval(wanted, labels, macro_f1, seed),
        ece=expected_calibration_error(bins),
        classes={
            name: PerClass(
                float(parts[0][i]), float(parts[1][i]), float(parts[2][i]), int(parts[3][i])
            )
            for i, name in enumerate(NAMES)
        },
        confusion=confusion_matrix(wanted, labels, labels=[0, 1, 2]).tolist(),
        reliability=bins,
        by_source=_parts([row.source for row in rows], wanted, labels),
        by_length=_parts([_length(row.text) for row in rows], wanted, labels),
        graded=_graded(rows, shares),
        mistakes=_mistakes(rows, shares),
    )


def summary(name: str, one: Evaluation) -> tuple[str, ...]:
    """For a table: texts, accuracy, macro F1, ECE; of grades r and the share of right signs."""
    grades = one.graded
    return (
        name,
        str(one.n),
        f"{one.accuracy.value:.3f} ({one.accuracy.low:.3f}-{one.accuracy.high:.3f})",
        f"{one.macro_f1.value:.3f} ({one.macro_f1.low:.3f}-{one.macro_f1.high:.3f})",
        f"{one.ece:.3f}",
        f"{grades.pearson_r:.2f}" if grades else "",
        f"{grades.sign_accuracy:.3f}" if grades else "",
    )


def macro_f1(wanted: np.ndarray, said: np.ndarray) -> float:
    """Mean F1 of the three classes; of one that neither holds it is 0."""
    counts = np.bincount(3 * wanted + said, minlength=9).reshape(3, 3)
    both = counts.sum(0) + counts.sum(1)
    return float(np.mean(2 * counts.diagonal() / np.maximum(both, 1)))


def reliability(confidence: np.ndarray, right: np.ndarray) -> list[Bin]:
    """Bins of equal width over (0, 1] that hold a text."""
    edges = np.linspace(0.0, 1.0, _BINS + 1)
    found = []
    for low, high in pairwise(edges):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            mean, share = float(confidence[inside].mean()), float(right[inside].mean())
            found.append(Bin(float(low), float(high), int(inside.sum()), mean, share))
    return found


def expected_calibration_error(bins: Sequence[Bin]) -> float:
    """Mean distance of confidence and accuracy over the bins, by their texts.

    Naeini, Cooper and Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian
    Binning", AAAI 2015.
    """
    n = sum(each.n for each in bins)
    return sum(each.n * abs(each.confidence - each.accuracy) for each in bins) / n if n else 0.0


def _accuracy(wanted: np.ndarray, said: np.ndarray) -> float:
    return float((wanted == said).mean())


def _interval(
    wanted: np.ndarray,
    said: np.ndarray,
    measure: Callable[[np.ndarray, np.ndarray], float],
    seed: int,
) -> Interval:
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(_DRAWS):
        chosen = rng.integers(0, len(wanted), len(wanted))
        drawn.append(measure(wanted[chosen], said[chosen]))
    low, high = np.percentile(drawn, (2.5, 97.5))
    return Interval(measure(wanted, said), float(low), float(high))


def _parts(names: Sequence[str], wanted: np.ndarray, said: np.ndarray) -> list[Part]:
    places: dict[str, list[int]] = defaultdict(list)
    for i, name in enumerate(names):
        places[name].append(i)
    return [
        Part(name, len(at), _accuracy(wanted[at], said[at]), macro_f1(wanted[at], said[at]))
        for name, at in sorted(places.items())
    ]


def _length(text: str) -> str:
    n = len(text.split())
    low, high = next((a, b) for a, b in pairwise(_LENGTHS) if n < b)
    return f"{low:02}-{high - 1:02} words" if high < _LENGTHS[-1] else f"{low:02}+ words"


def _graded(rows: Sequence[Labelled], shares: np.ndarray) -> Graded | None:
    at = [i for i, row in enumerate(rows) if row.score is not None]
    if len(at) < 2:
        return None
    wanted = np.array([rows[i].score for i in at], dtype=float)
    own = shares[at, 2] - shares[at, 0]
    polar = np.abs(wanted) >= POLAR
    right = np.sign(own[polar]) == np.sign(wanted[polar])
    varies = wanted.std() > 0 and own.std() > 0
    return Graded(
        n=len(at),
        pearson_r=float(np.corrcoef(wanted, own)[0, 1]) if varies else 0.0,
        sign_accuracy=float(right.mean()) if polar.any() else 0.0,
    )


def _mistakes(rows: Sequence[Labelled], shares: np.ndarray) -> list[Mistake]:
    wrong = [i for i, row in enumerate(rows) if shares[i].argmax() != row.label]
    wrong.sort(key=lambda i: (-shares[i].max(), i))
    return [
        Mistake(
            rows[i].text,
            NAMES[rows[i].label],
            NAMES[int(shares[i].argmax())],
            float(shares[i].max()),
        )
        for i in wrong[:_MOST_ERRORS]
    ]
