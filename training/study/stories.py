"""Kinds of stories whose text scores say more, or less, than the reactions bear out.

All stories together have one slope through zero, target on text score. A kind's residuals against
it, times the score, are above zero where its scores say too little, below where they say too much.
Their mean by session is tested with Newey and West's t, at 5 % for all kinds together (Bonferroni).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import msgspec
import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from training.labels import Floats
from training.skill import horizon_sessions, newey_west_t, session_means
from training.study.enhancement import Enhanced

MIN_ARTICLES = 30
_MOST_SOURCES = 10
_LEVEL = 0.05
_Mask = npt.NDArray[np.bool_]


class Story(msgspec.Struct, frozen=True):
    """One kind of story. slope : target for each unit of text score. t : of its residuals."""

    by: str
    kind: str
    n: int
    slope: float
    t: float | None
    says: str


def stories(enhanced: Enhanced) -> tuple[Story, ...]:
    """Every kind with articles enough that not all are of, over all that have a target."""
    found, target = enhanced.articles, enhanced.target
    rows, score = found.rows, found.score
    usual, horizon = _slope(score, target), horizon_sessions(rows.rule)
    residual = score * (target - usual * score)
    kinds = [each for each in _kinds(enhanced) if MIN_ARTICLES <= each[2].sum() < len(score)]
    limit = float(norm.ppf(1.0 - _LEVEL / 2 / max(1, len(kinds))))
    told = [Story("all", "all stories", len(score), usual, None, "")]
    for by, kind, mask in kinds:
        own = np.flatnonzero(mask)
        t, t_slope = (
            newey_west_t(session_means(values[own], rows.entry_us[own]), horizon)
            for values in (residual, score * target)
        )
        told.append(
            Story(
                by=by,
                kind=kind,
                n=len(own),
                slope=_slope(score[own], target[own]),
                t=t if np.isfinite(t) else None,
                says=_says(t, t_slope, limit),
            )
        )
    return tuple(told)


def _says(t: float, t_slope: float, limit: float) -> str:
    if not np.isfinite(t):
        return "too few sessions"
    if abs(t) < limit:
        return "as others"
    if t > 0.0:
        return "scored too low"
    return "scored the wrong way round" if t_slope < -limit else "scored too high"


def _slope(score: Floats, target: Floats) -> float:
    power = float(score @ score)
    return float(score @ target) / power if power > 0.0 else 0.0


def _kinds(enhanced: Enhanced) -> Iterator[tuple[str, str, _Mask]]:
    """What the story is by, its kind, and which articles are of it."""
    found = enhanced.articles
    for name, _ in Counter(found.source.tolist()).most_common(_MOST_SOURCES):
        yield "source", name, found.source == name
    yield "tone", "good news", found.score > 0.0
    yield "tone", "bad news", found.score < 0.0
    yield "print", "first", ~found.duplicate
    yield "print", "again", found.duplicate
    for by, values in (("confidence", found.confidence), ("length", found.n_chars)):
        middle = np.median(values)
        yield by, f"up to {middle:.4g}", values <= middle
        yield by, f"over {middle:.4g}", values > middle
