"""Which items of a symbol tell a story first, and how much of each was told before.

A sketch is a set of bits: one for each word, each pair of words and each fact of a text. With p the
share of a text's bits that an earlier sketch has, and f the share of all bits that the earlier one
has set, the share of the text that was told is (p - f) / (1 - f): f of them are there by chance.
The lesser of the words' and the facts' share counts. It has a direction: the headline of a long
article is a re-print, the article that comes after the headline is not.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from stream.events import SKETCH_FACTS, SKETCH_WORDS
from stream.features.news import NewsColumns, NewsItem

REPRINT = 0.9  # told before from this share on; chosen on data: tests/bench/bench_novelty.py
KINSHIP = 0.25  # less was not told at all: headlines about one company share that much
_BLOCK = 128  # compared at a time, so that a copy is often found without the rest
Order = tuple[int, str]  # available_at and article id


class Text(NamedTuple):
    """A sketch taken apart."""

    words: int
    n_words: int
    facts: int
    n_facts: int


def text_of(sketch: bytes) -> Text:
    """The words and facts of a sketch."""
    words = int.from_bytes(sketch[:SKETCH_WORDS], "little")
    facts = int.from_bytes(sketch[SKETCH_WORDS:], "little")
    return Text(words, words.bit_count(), facts, facts.bit_count())


def told_share(new: bytes, by: bytes) -> float:
    """Share of the text of sketch `new` that the one of `by` tells, 0..1; under KINSHIP it is 0.

    Examples
    --------
    >>> told_share(b"\\x07", b"\\x17"), told_share(b"\\x17", b"\\x08")
    (1.0, 0.0)
    """
    return dict(_shares(text_of(new), [text_of(by)])).get(0, 0.0)


def _shares(text: Text, others: Sequence[Text]) -> Iterator[tuple[int, float]]:
    """The place of each of the others that tells at least KINSHIP of `text`, and the share."""
    words, n_words, facts, n_facts = text
    least = KINSHIP * n_words or 1.0  # a share is never over p
    for low in range(0, len(others), _BLOCK):
        block = others[low : low + _BLOCK]
        for i, n_common in enumerate([(words & other[0]).bit_count() for other in block]):
            if n_common >= least:
                other = block[i]
                share = _share(n_common, n_words, other.n_words, 8 * SKETCH_WORDS)
                n_common = (facts & other.facts).bit_count()
                share = min(share, _share(n_common, n_facts, other.n_facts, 8 * SKETCH_FACTS))
                if share >= KINSHIP:
                    yield low + i, share


def _share(n_common: int, n: int, n_other: int, n_bits: int) -> float:
    if n_common == n:
        return 1.0
    chance = n_other / n_bits
    return (n_common / n - chance) / (1.0 - chance)


class Story(NamedTuple):
    """What an item adds. `first` is the earliest item that tells it, mostly the item itself.

    novelty : 1 - the largest share of its text that one earlier item told, 0..1.
    nearest : the id of that item, None where it is under KINSHIP.
    """

    first: Order
    novelty: float
    nearest: str | None


class Stories:
    """Items in order of availability, then id, each with its story.

    An item is compared with those that were available in the `reach_us` before it and come earlier
    in the order. `news` are the columns of the items that are no re-prints.
    """

    def __init__(self, reach_us: int, items: Iterable[NewsItem] = ()) -> None:
        self.items: list[NewsItem] = []
        self.times: list[int] = []
        self.stories: list[Story] = []
        self._reach_us = reach_us
        self._texts: list[Text] = []
        self._news: NewsColumns | None = NewsColumns()
        for item in items:
            self.insert(item)

    @property
    def news(self) -> NewsColumns:
        """The items that are no re-prints."""
        if self._news is None:
            self._news = NewsColumns()
            for i in range(len(self.items)):
                self._count(self._news, i)
        return self._news

    def insert(self, item: NewsItem) -> None:
        """Put an item at its place; later ones may turn out to be its re-prints."""
        at = self._place(item)
        self.items.insert(at, item)
        self.times.insert(at, item.available_at)
        self._texts.insert(at, text_of(item.sketch))
        self.stories.insert(at, self._story(at))
        if self._retell(at):
            self._news = None
        elif self._news is not None:
            self._count(self._news, at)

    def remove(self, item: NewsItem) -> None:
        """Take an item out; its first re-print may become the story's first."""
        at = self._place(item)
        for column in (self.items, self.times, self._texts, self.stories):
            del column[at]
        gone = _order(item)
        for i in range(at, bisect_left(self.times, item.available_at + self._reach_us)):
            story = self.stories[i]
            if story.nearest == item.article_id or story.first == gone:
                self.stories[i] = self._story(i)
        self._news = None

    def forget(self, until: int) -> None:
        """Drop the items available at or before `until`, which no window reaches any more."""
        low = bisect_right(self.times, until)
        for column in (self.items, self.times, self._texts, self.stories):
            del column[:low]
        self._news = None

    def _place(self, item: NewsItem) -> int:
        return bisect_left(self.items, _order(item), key=_order)

    def _count(self, news: NewsColumns, at: int) -> None:
        item, story = self.items[at], self.stories[at]
        if story.first == _order(item):
            news.insert(item, story.novelty)

    def _story(self, at: int) -> Story:
        """Compare the item at `at` with those before it."""
        low = bisect_right(self.times, self.times[at] - self._reach_us, 0, at)
        first = nearest = None
        most = 0.0
        for i, share in _shares(self._texts[at], self._texts[low:at]):
            if first is None and share >= REPRINT:
                first = self.items[low + i]
            if share > most:
                most, nearest = share, self.items[low + i].article_id
            if share >= 1.0:
                break  # nothing tells more, and the first is known
        return Story(_order(first or self.items[at]), 1.0 - most, nearest)

    def _retell(self, at: int) -> bool:
        """Compare the later items with the one at `at`; whether one's story changed."""
        item, changed = self.items[at], False
        high = bisect_left(self.times, item.available_at + self._reach_us, at)
        for i in range(at + 1, high):
            found = [*_shares(self._texts[i], [self._texts[at]])]
            if not found:
                continue
            share, story = found[0][1], self.stories[i]
            if share >= REPRINT and _order(item) < story.first:
                story = story._replace(first=_order(item))
            if 1.0 - share < story.novelty:
                story = story._replace(novelty=1.0 - share, nearest=item.article_id)
            changed |= story is not self.stories[i]
            self.stories[i] = story
        return changed


def _order(item: NewsItem) -> Order:
    return item.available_at, item.article_id
