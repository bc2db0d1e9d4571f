"""Folds in which a text and its rewrites stay together.

An article and its copies in two folds would make a model look better than it is: near-duplicates
raised macro F1 by two points on tweets about stocks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import StratifiedGroupKFold

from training.sentiment.labelled import Labelled

SIMILAR = 0.75  # cosine of TF-IDF over words and pairs of words
_BLOCK = 200  # rows times all: a word that all texts share makes their product dense
_TAG = re.compile(r"[$@#]\w+")
_NUMBER = re.compile(r"\d[\d.,]*")


def stories(texts: Sequence[str]) -> np.ndarray:
    """(n,) group numbers: texts that are linked by near-duplicates share one.

    Cashtags and numbers count as the same word each: a template filled twice is one story.
    """
    vectors = _vectors(texts)
    blocks = range(0, len(texts), _BLOCK)
    # Each text with those up to its block: a link needs no second way.
    links = [(first, _near(vectors, first, vectors[: first + _BLOCK])) for first in blocks]
    rows = np.concatenate([near.row + first for first, near in links])
    columns = np.concatenate([near.col for _, near in links])
    linked = coo_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(texts), len(texts)))
    return np.asarray(connected_components(linked, directed=False)[1])


def split(
    rows: Sequence[Labelled], *, seed: int, only: int | None = None, folds: int = 20, held: int = 3
) -> tuple[list[int], list[int]]:
    """Indices to learn from and to choose by: `held` of `folds` stratified folds of stories.

    only : the first so many rows are split, as if there were no others; of the others, which are
        only learnt from, near-duplicates of what is chosen by are left out.
    """
    n = len(rows) if only is None else only
    labels = [row.label for row in rows[:n]]
    own = stories([row.text for row in rows[:n]])
    parts = StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(own, labels, own)
    chosen = (part for _, (_, part) in zip(range(held), parts, strict=False))
    choose = sorted(int(i) for part in chosen for i in part)
    left_out = set(choose)
    if n < len(rows):
        vectors = _vectors([row.text for row in rows])
        more = vectors[n:]
        for first in range(0, more.shape[0], _BLOCK):
            near = _near(more, first, vectors[choose])
            left_out.update((n + first + near.row).tolist())
    return [i for i in range(len(rows)) if i not in left_out], choose


def _vectors(texts: Sequence[str]) -> csr_matrix:
    masked = [_NUMBER.sub("#", _TAG.sub("$", text.casefold())) for text in texts]
    return TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"[^\s]+").fit_transform(masked)


def _near(vectors: csr_matrix, first: int, others: csr_matrix) -> coo_matrix:
    """Which of `others` each row of the block from `first` on is a near-duplicate of."""
    near = vectors[first : first + _BLOCK] @ others.T
    near.data[near.data < SIMILAR] = 0.0
    near.eliminate_zeros()
    return near.tocoo()
