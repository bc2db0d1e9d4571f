"""News items of one symbol, and the columns that features read; how new one is: `stories`."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from math import fsum, log1p

from msgspec import Struct

from stream.features.spans import Spans

FOREIGN_SHARE = 0.2  # of the news window scored by another sentiment model: abstain above
DEFAULT_CREDIBILITY = 0.5
CREDIBILITY = {
    "sec": 1.0,
    "reuters": 1.0,
    "bloomberg": 1.0,
    "dow jones": 0.95,
    "wsj": 0.95,
    "ft": 0.95,
    "ap": 0.95,
    "business wire": 0.85,
    "pr newswire": 0.85,
    "globenewswire": 0.85,
    "cnbc": 0.8,
    "barrons": 0.8,
    "marketwatch": 0.75,
    "yahoo": 0.65,
    "benzinga": 0.6,
    "the motley fool": 0.5,
    "seeking alpha": 0.5,
    "zerohedge": 0.3,
    "twitter": 0.3,
    "stocktwits": 0.2,
    "reddit": 0.2,
}


class NewsItem(Struct, frozen=True, array_like=True):
    """What one revision of an article says of a symbol. `available_at` in microseconds.

    polarity is P(positive) - P(negative), -1..1; relevance is 0..1. Without a sketch the text is
    compared with nothing and counts as new.
    """

    article_id: str
    revision: int
    status: str
    source: str
    available_at: int
    polarity: float
    negative: float
    neutral: float
    positive: float
    relevance: float
    n_chars: int
    model: str
    sketch: bytes


def credibility(source: str) -> float:
    """How far a source is trusted, 0..1, from a fixed table; 0.5 where it is not in it.

    Examples
    --------
    >>> credibility("Reuters"), credibility("my-feed")
    (1.0, 0.5)
    """
    return CREDIBILITY.get(source.lower(), DEFAULT_CREDIBILITY)


class NewsColumns(Spans):
    """Columns over items in order of availability, oldest first."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[int] = []
        self.ids: list[str] = []
        self.polarities: list[float] = []
        self.weights: list[float] = []
        self.weighted: list[float] = []
        self.negatives: list[float] = []
        self.novelties: list[float] = []
        self.credibilities: list[float] = []
        self.lengths: list[float] = []

    def insert(self, item: NewsItem, novelty: float) -> None:
        """Put an item at its place: by availability, then id."""
        index = bisect_left(self.times, item.available_at)
        last = bisect_right(self.times, item.available_at, index)
        index += bisect_right(self.ids[index:last], item.article_id)
        self.times.insert(index, item.available_at)
        self.ids.insert(index, item.article_id)
        self.polarities.insert(index, item.polarity)
        self.weights.insert(index, item.relevance)
        self.weighted.insert(index, item.relevance * item.polarity)
        self.negatives.insert(index, item.negative)
        self.novelties.insert(index, novelty)
        self.credibilities.insert(index, credibility(item.source))
        self.lengths.insert(index, log1p(item.n_chars))
        self.changed()

    def tone(self, low: int, high: int) -> float | None:
        """Mean polarity of [low:high], weighted by relevance; None where there is none of it."""
        weight = fsum(self.weights[low:high])
        return fsum(self.weighted[low:high]) / weight if weight > 0.0 else None
