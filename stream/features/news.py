"""News items of one symbol, kept one by one inside the longest news window.

An item counts at `cut` when available_at <= cut and no higher revision of it was available by
then. A retraction is a revision that counts as nothing.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable
from math import log1p

from msgspec import Struct

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

    polarity is P(positive) - P(negative), -1..1; relevance and novelty are 0..1.
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
    novelty: float
    n_chars: int
    model: str


class Entry(Struct, frozen=True):
    """An item's place in time order, and when a higher revision replaced it (None: not yet)."""

    available_at: int
    article_id: str
    revision: int
    item: NewsItem
    until: int | None

    @property
    def order(self) -> tuple[int, str, int]:
        """Items of one moment are ordered by id."""
        return (self.available_at, self.article_id, self.revision)


def credibility(source: str) -> float:
    """How far a source is trusted, 0..1, from a fixed table; 0.5 where it is not in it.

    Examples
    --------
    >>> credibility("Reuters"), credibility("my-feed")
    (1.0, 0.5)
    """
    return CREDIBILITY.get(source.lower(), DEFAULT_CREDIBILITY)


class NewsColumns:
    """Columns over items in order of availability, oldest first."""

    def __init__(self, items: Iterable[NewsItem]) -> None:
        self.items = list(items)
        self.times = [item.available_at for item in self.items]
        self.ids = [item.article_id for item in self.items]
        self.polarities = [item.polarity for item in self.items]
        self.weights = [item.relevance for item in self.items]
        self.weighted = [item.relevance * item.polarity for item in self.items]
        self.negatives = [item.negative for item in self.items]
        self.novelties = [item.novelty for item in self.items]
        self.sources = [item.source for item in self.items]
        self.credibilities = [credibility(item.source) for item in self.items]
        self.lengths = [log1p(item.n_chars) for item in self.items]
        self.models = [item.model for item in self.items]

    def insert(self, item: NewsItem) -> None:
        """Put an item at its place: by availability, then id."""
        index = bisect_left(self.times, item.available_at)
        last = bisect_right(self.times, item.available_at, index)
        index += bisect_right(self.ids[index:last], item.article_id)
        self.items.insert(index, item)
        self.times.insert(index, item.available_at)
        self.ids.insert(index, item.article_id)
        self.polarities.insert(index, item.polarity)
        self.weights.insert(index, item.relevance)
        self.weighted.insert(index, item.relevance * item.polarity)
        self.negatives.insert(index, item.negative)
        self.novelties.insert(index, item.novelty)
        self.sources.insert(index, item.source)
        self.credibilities.insert(index, credibility(item.source))
        self.lengths.insert(index, log1p(item.n_chars))
        self.models.insert(index, item.model)


class NewsBook:
    """All revisions inside the window, by article."""

    def __init__(self) -> None:
        self.revisions: dict[str, list[NewsItem]] = {}  # ascending revision
        self._entries: list[Entry] = []
        self._columns = NewsColumns(())
        self._settled_at = 0  # from this cut on, `_columns` are what counts
        self._models: tuple[int, int, dict[str, int]] | None = None

    def newest_revision(self, article_id: str) -> int:
        """Highest revision known; 0 where there is none."""
        known = self.revisions.get(article_id)
        return known[-1].revision if known else 0

    def add(self, item: NewsItem) -> None:
        """Add a revision higher than all known ones of its article."""
        known = self.revisions.setdefault(item.article_id, [])
        known.append(item)
        self._models = None
        if len(known) > 1 or item.status == "retracted":
            self._index()
            return
        entry = Entry(item.available_at, item.article_id, item.revision, item, None)
        index = bisect_right(self._entries, entry.order, key=lambda each: each.order)
        self._entries.insert(index, entry)
        self._columns.insert(item)

    def forget(self, until: int) -> set[str]:
        """Drop revisions available at or before `until`; returns the ids of changed articles."""
        if not self._entries or self._entries[0].available_at > until:
            return set()
        changed = {entry.article_id for entry in self._entries if entry.available_at <= until}
        for article_id in changed:
            known = self.revisions[article_id]
            gone = max(item.revision for item in known if item.available_at <= until)
            left = [item for item in known if item.revision > gone]
            if left:
                self.revisions[article_id] = left
            else:
                del self.revisions[article_id]
        self._models = None
        self._index()
        return changed

    def restore(self, revisions: dict[str, list[NewsItem]]) -> None:
        """Take the articles of a checkpoint."""
        self.revisions = revisions
        self._models = None
        self._index()

    def columns(self, cut: int) -> tuple[NewsColumns, int]:
        """Columns of the items that count at `cut` and how many leading ones are available."""
        if cut >= self._settled_at:
            return self._columns, bisect_right(self._columns.times, cut)
        columns = NewsColumns(
            entry.item
            for entry in self._entries
            if entry.available_at <= cut
            and entry.item.status != "retracted"
            and (entry.until is None or entry.until > cut)
        )
        return columns, len(columns.items)

    def models(self, after: int, cut: int) -> dict[str, int]:
        """Items by sentiment model in (after, cut]."""
        columns, high = self.columns(cut)
        low = bisect_right(columns.times, after, 0, high)
        if cut < self._settled_at:
            return dict(Counter(columns.models[low:high]))
        if self._models is None or self._models[:2] != (low, high):
            self._models = (low, high, dict(Counter(columns.models[low:high])))
        return dict(self._models[2])

    def _index(self) -> None:
        entries = []
        for article_id, known in self.revisions.items():
            until: int | None = None
            for item in reversed(known):
                entries.append(Entry(item.available_at, article_id, item.revision, item, until))
                until = item.available_at if until is None else min(until, item.available_at)
        self._entries = sorted(entries, key=lambda entry: entry.order)
        self._settled_at = max((entry.until or 0 for entry in self._entries), default=0)
        self._columns = NewsColumns(
            entry.item
            for entry in self._entries
            if entry.until is None and entry.item.status != "retracted"
        )
