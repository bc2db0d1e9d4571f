"""Whether the data can be learnt from at all: texts, scores, features. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from hashlib import blake2b

import msgspec
import numpy as np

from models.artifact import Artifact
from training.gates import Check, Gates, at_most
from training.labels import Floats
from training.learners.categories import categories
from training.rows import TrainingTable

_SHOWN = 5  # names in a note


class NewsFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Stored articles, and the scores of the model that made most of them."""

    articles: int = 0
    textless: int = 0
    scored: int = 0
    zero: int = 0  # scores whose polarity is 0
    neutral: int = 0  # scores that are neutral rather than either side


def quality(
    rows: TrainingTable,
    news: NewsFacts,
    news_names: Collection[str],
    champion: Artifact | None,
    gates: Gates,
) -> list[Check]:
    """The checks of what a model is to be trained or judged on.

    A feature that always has the same value is a broken input, unless news makes it and there was
    none. One that never has a value is no data (no quotes, a window longer than the history): it
    is told, and warns only where many are.
    """
    empty, constant = _without_values(rows), _constant(rows)
    if not (news.articles or news.scored):
        constant = [name for name in constant if name not in news_names]
    twins = _duplicated(rows, [n for n in rows.feature_names if n not in {*empty, *constant}])
    lacking = len(empty) > gates.max_empty * len(rows.feature_names)
    checks = _news(news, gates)
    checks += [
        at_most("data: constant features", len(constant), gates.max_constant, note=_some(constant)),
        at_most("data: duplicated features", len(twins), gates.max_duplicated, note=_some(twins)),
        Check(
            "data: features without a value",
            "WARN" if lacking else "PASS",
            len(empty),
            f"at most {gates.max_empty:.0%} of {len(rows.feature_names)}",
            _some(empty),
            short_history=lacking,
        ),
    ]
    if champion is not None and champion.feature_names == rows.feature_names:
        checks.append(_shift(rows, champion, news_names, gates))
    return checks


def _news(news: NewsFacts, gates: Gates) -> list[Check]:
    checks = []
    if news.articles:
        share = news.textless / news.articles
        note = f"{news.textless:,} of {news.articles:,}"
        checks.append(at_most("data: articles without text", share, gates.max_textless, note=note))
    if news.scored:
        for name, n in (("zero", news.zero), ("neutral", news.neutral)):
            note = f"{n:,} of {news.scored:,}"
            share = n / news.scored
            checks.append(at_most(f"data: scores that are {name}", share, gates.max_neutral,
                                  note=note))  # fmt: skip
    elif news.articles:
        checks.append(Check("data: scored articles", "FAIL", 0, "some, for there are articles"))
    return checks


def _shift(
    rows: TrainingTable, champion: Artifact, news_names: Collection[str], gates: Gates
) -> Check:
    here = np.isnan(rows.x).mean(axis=0)
    shifts = {
        name: abs(float(here[i]) - champion.reference[i].missing)
        for i, name in enumerate(rows.feature_names)
        if name in news_names
    }
    worst = max(shifts, key=shifts.__getitem__, default="")
    return at_most(
        "data: share of rows without news, from the champion's",
        shifts.get(worst, 0.0),
        gates.max_news_shift,
        note=worst,
    )


def _without_values(rows: TrainingTable) -> list[str]:
    return [name for name, column in _columns(rows) if np.isnan(column).all()]


def _constant(rows: TrainingTable) -> list[str]:
    """Features with one value in every row; one that also misses sometimes tells something.

    All symbols may be of one sector.
    """
    known = set(categories(rows.feature_names))
    found = [name for name, column in _columns(rows) if (column == column[:1]).all()]
    return [name for name in found if name not in known]


def _columns(rows: TrainingTable) -> Iterable[tuple[str, Floats]]:
    return zip(rows.feature_names, rows.x.T, strict=True)


def _duplicated(rows: TrainingTable, names: Sequence[str]) -> list[str]:
    """Features that equal an earlier one in every row."""
    index = {name: i for i, name in enumerate(rows.feature_names)}
    by_content: defaultdict[bytes, list[str]] = defaultdict(list)
    for name in names:
        column = np.ascontiguousarray(rows.x[:, index[name]])
        by_content[blake2b(column.tobytes(), digest_size=16).digest()].append(name)
    return [f"{each} = {same[0]}" for same in by_content.values() for each in same[1:]]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
