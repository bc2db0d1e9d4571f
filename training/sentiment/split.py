"""Folds in which a text and its rewrites stay together.

An article and its copies in two folds would make a model look better than it is: near-duplicates
raised macro F1 by two points on tweets about stocks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from scipy.sparse import vstack
from scipy.sparse.csgraph import connected_components
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import StratifiedGroupKFold

from training.sentiment.labelled import Labelled

SIMILAR = 0.75  # cosine of TF-IDF over words and pairs of words
_BLOCK = 2_000
_TAG = re.compile(r"[$@#]\w+")
_NUMBER = re.compile(r"\d[\d.,]*")


def stories(texts: Sequence[str]) -> np.ndarray:
    """(n,) group numbers: texts that are linked by near-duplicates share one.

    Cashtags and numbers count as the same word each: a template filled twice is one story.
    """
    masked = [_NUMBER.sub("#", _TAG.sub("$", text.casefold())) for text in texts]
    vectors = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"[^\s]+").fit_transform(masked)
    links = []
    for first in range(0, len(masked), _BLOCK):
        near = vectors[first : first + _BLOCK] @ vectors.T
        near.data = np.where(near.data >= SIMILAR, 1.0, 0.0)
        near.eliminate_zeros()
        links.append(near)
    _, groups = connected_components(vstack(links), directed=False)
    return np.asarray(groups)


def split(
    rows: Sequence[Labelled], *, seed: int, only: int | None = None, folds: int = 20, held: int = 3
) -> tuple[list[int], list[int]]:
    """Indices to learn from and to choose by: `held` of `folds` stratified folds of stories.

    only : chosen by are only so many first rows; others of their stories are left out.
    """
    first = len(rows) if only is None else only
    labels = [row.label for row in rows[:first]]
    # Of those rows alone, so that whatever else is learnt from, the same are chosen by.
    own = stories([row.text for row in rows[:first]])
    parts = StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(own, labels, own)
    choose = {int(i) for _, (_, part) in zip(range(held), parts, strict=False) for i in part}
    groups = stories([row.text for row in rows]) if first < len(rows) else own
    kept_apart = {int(groups[i]) for i in choose}
    learn = (i for i in range(len(rows)) if i not in choose)
    return [i for i in learn if int(groups[i]) not in kept_apart], sorted(choose)
