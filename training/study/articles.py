"""What articles said of symbols when they came, beside what the prices did then."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from stream.events import SentimentScored
from training.errors import TrainingRefused
from training.label_rules import LabelRule
from training.labels import Floats, Ints
from training.replay import Sampled
from training.rows import TrainingTable

Texts = npt.NDArray[np.str_]
_Ref = tuple[str, str, int]  # symbol, article, revision


class Said(NamedTuple):
    """What a score says of one symbol. score : P(positive) - P(negative), the polarity.

    confidence : the largest of the three probabilities.
    """

    source: str
    score: float
    confidence: float
    relevance: float
    n_chars: int
    duplicate: bool
    text_hash: str


class Scores:
    """Collects what was said while its events replay."""

    def __init__(self) -> None:
        self.by_ref: dict[_Ref, Said] = {}

    def note(self, event: msgspec.Struct) -> None:
        """Keep a score; of other events nothing, and nothing of a retraction."""
        if isinstance(event, SentimentScored) and event.status != "retracted":
            probabilities = (event.negative, event.neutral, event.positive)
            self.by_ref[event.symbol, event.article_id, event.revision] = Said(
                source=event.source,
                score=event.positive - event.negative,
                confidence=max(probabilities),
                relevance=event.relevance,
                n_chars=event.n_chars,
                duplicate=event.duplicate,
                text_hash=event.text_hash,
            )


@dataclass(frozen=True)
class Articles:
    """Labelled rows that an article's score made, with it; each array (n,) as in `Said`."""

    rows: TrainingTable
    article_id: Texts
    revision: Ints
    source: Texts
    score: Floats
    confidence: Floats
    relevance: Floats
    n_chars: Ints
    duplicate: npt.NDArray[np.bool_]
    text_hash: Texts

    def __len__(self) -> int:
        return len(self.rows)


def articles(found: Sampled, scores: Scores, rule: LabelRule) -> Articles:
    """The articles' rows whose return and market's return are known; the others are counted.

    Raises
    ------
    TrainingRefused
        There are none.
    """
    labelled = found.labelled(rule)
    rows = labelled.with_market()
    refs = labelled.refs
    said = [
        scores.by_ref.get((symbol, *ref)) if trigger == "news" else None
        for symbol, trigger, ref in zip(rows.symbol.tolist(), rows.trigger, refs, strict=True)
    ]
    is_said = np.array([each is not None for each in said], dtype=bool)
    related = ~np.isnan(rows.relative_target)
    counts = Counter(rows.counts)
    counts["retracted"] += int(((rows.trigger == "news") & ~is_said).sum())
    counts["no return of the market"] += int((is_said & ~related).sum())
    kept = np.flatnonzero(is_said & related)
    rows = replace(rows.take(kept), counts={why: n for why, n in counts.items() if n})
    if not len(rows):
        why = ", ".join(f"{n:,} {reason}" for reason, n in rows.counts.items()) or "no history"
        raise TrainingRefused(
            f"expected articles with a reaction at {rule.horizon}, got none ({why}); a reaction "
            "needs a matured label, and 5 symbols or more that were bought at the same time"
        )
    known = [said[i] for i in kept]
    columns = {name: np.array([getattr(each, name) for each in known]) for name in Said._fields}
    return Articles(
        rows=rows,
        article_id=np.array([refs[i][0] for i in kept]),
        revision=np.array([refs[i][1] for i in kept], dtype=np.int64),
        **columns,
    )
