"""Sentiment enhancement: what a text's score should have been, given the reaction.

The reaction of an article is the return from the entry after it to the horizon, less the market's,
in units of the volatility known at as_of, clipped: `TrainingTable.relative_target`. The target is

    2 * Phi(reaction) - 1,   in -1..1

the share of chance moves that are smaller, with the sign: half of all scores would lie within
+-0.5 if reactions were chance alone, whatever the horizon.

A regression learns it from what was known when the article came. Its prediction on the rows of a
judge block, shrunk by what came true on the tune block, is the enhanced score: no row's score is
made by a model that saw that row's label, or any that was not known by then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import erf

from training.calibrate import fit_slope
from training.errors import TrainingRefused
from training.fit import raw_scores
from training.labels import Floats, Ints
from training.learners.categories import categories
from training.learners.learner import Block, Learner
from training.learners.recipe import Recipe
from training.splits import Fold, Rows, SplitRule
from training.study.articles import Articles
from training.study.folds import checked_folds
from training.train import Progress
from training.weights import uniqueness

SPLIT = SplitRule(n_folds=5, tune=0.12, choose=0.0, judge=0.12)
TEXT, STATE, BOTH = "the text's facts", "the market's state", "both: the enhanced score"
_MIN_OF_SOURCE = 30  # fit rows, for a source to have a column
_MOST_SOURCES = 20
_THIRD = 1.0 / 3.0


@dataclass(frozen=True)
class Enhanced:
    """Every article with its target and, in judge blocks, what each variant makes of its score.

    scores : by variant (n,), -1..1; NaN where no fold judged the row.
    fold : -1 where none did.
    """

    articles: Articles
    target: Floats
    scores: Mapping[str, Floats]
    fold: Ints

    @property
    def judged(self) -> Rows:
        """Numbers of the rows in judge blocks, in time order."""
        return np.flatnonzero(self.fold >= 0)


def target_of(reaction: Floats) -> Floats:
    """-1..1 of a reaction in units of risk; see the module."""
    target: Floats = erf(reaction / np.sqrt(2.0))
    return target


def enhance(
    found: Articles,
    learner: Learner,
    news_names: Collection[str],
    *,
    seed: int,
    num_threads: int = 1,
    split: SplitRule = SPLIT,
    progress: Progress = lambda step, share: None,
) -> Enhanced:
    """Learn on every fold what the reaction will be, and say it of the judge rows.

    Parameters
    ----------
    news_names : the features that news changes; the others are the market's state.

    Raises
    ------
    TrainingRefused
        There are too few articles, or all scores are the same.
    """
    if np.ptp(found.score) == 0.0:
        raise TrainingRefused(
            f"expected text scores that differ, got {found.score[0]:g} for all {len(found):,} "
            "articles; look at the sentiment model"
        )
    rows = found.rows
    target = target_of(rows.relative_target)
    y = 1 + (target > _THIRD).astype(np.int64) - (target < -_THIRD)
    weight = uniqueness(rows)
    is_news = np.isin(rows.feature_names, list(news_names))
    is_state = ~(is_news | np.isin(rows.feature_names, categories(rows.feature_names)))
    folds = checked_folds(rows.as_of_us, rows.exit_us, split, "articles")
    scores = {name: np.full(len(rows), np.nan) for name in (TEXT, STATE, BOTH)}
    fold_of = np.full(len(rows), -1)
    for i, fold in enumerate(folds):
        fold_of[fold.judge] = i
        text = np.column_stack([*text_columns(found, fold.fit).values(), rows.x[:, is_news]])
        inputs = {TEXT: text, STATE: rows.x[:, is_state]}
        inputs[BOTH] = np.column_stack(list(inputs.values()))
        for j, (name, x) in enumerate(inputs.items()):
            label = f"fold {i + 1} of {len(folds)}: {name}"
            progress(label, (i + j / len(inputs)) / len(folds))
            block = Block(x, y, target, weight)
            said = _predicted(block, fold, learner, seed, num_threads, label)
            scores[name][fold.judge] = np.clip(said, -1.0, 1.0)
    return Enhanced(found, target, scores, fold_of)


def text_columns(found: Articles, fit: Rows) -> dict[str, Floats]:
    """What the articles themselves are. The score of each source that the fit rows know well too.

    A source whose scores mean something else than others' is a slope of its own then.
    """
    columns = {
        "score": found.score,
        "confidence": found.confidence,
        "relevance": found.relevance,
        "length": np.log1p(found.n_chars),
        "duplicate": found.duplicate.astype(np.float64),
        "revision": found.revision.astype(np.float64),
    }
    common = Counter(found.source[fit].tolist()).most_common(_MOST_SOURCES)
    for name, n in common:
        if n >= _MIN_OF_SOURCE:
            columns[f"score of {name}"] = np.where(found.source == name, found.score, 0.0)
    return columns


def _predicted(
    block: Block, fold: Fold, learner: Learner, seed: int, num_threads: int, label: str
) -> Floats:
    """Of the judge rows, as much as came true on the tune rows."""
    fit, tune = block.take(fold.fit), block.take(fold.tune)
    counts = np.bincount(fit.y, minlength=3)
    if counts.min() == 0:
        raise TrainingRefused(
            f"{label}: expected bad, indifferent and good reactions to learn from, got "
            f"{counts[0]}, {counts[1]} and {counts[2]} of them"
        )
    names = tuple(f"f{i}" for i in range(block.x.shape[1]))
    try:
        members = Recipe(learner).fit(fit, tune, names, seed, num_threads)
    except TrainingRefused as error:
        raise TrainingRefused(f"{label}: {error}") from None
    slope = fit_slope(raw_scores(members, tune.x)[1], tune.outcome)
    predicted: Floats = slope * raw_scores(members, block.x[fold.judge])[1]
    return predicted
