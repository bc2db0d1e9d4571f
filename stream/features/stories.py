"""Which items of a symbol tell a story first, and how much of each was told before.

A sketch is a set of bits: one for each word, each pair of words and each fact of a text. With p the
share of a text's bits that an earlier sketch has, and f the share of all bits that the earlier one
has set, the share of the text that was told is (p - f) / (1 - f): f of them are there by chance.
The lesser of the words' and the facts' share counts. It has a direction: the headline of a long
article is a re-print, the article that comes after the headline is not.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import ceil
from typing import NamedTuple

from stream.events import SKETCH_FACTS, SKETCH_WORDS
from stream.features.news import NewsColumns, NewsItem
from stream.features.overlaps import Overlaps
from stream.features.spans import Spans

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


def told_share(new: Text, by: Text) -> float:
    """Share of the text `new` that `by` tells, 0..1; under KINSHIP it is 0.

    Examples
    --------
    >>> new, by = text_of(b"\\x07"), text_of(b"\\x17")
    >>> told_share(new, by), told_share(by, text_of(b"\\x08"))
    (1.0, 0.0)
    """
    n_common = (new.words & by.words).bit_count()
    if n_common < _least(new):
        return 0.0
    share = _share(n_common, new.n_words, by.n_words, 8 * SKETCH_WORDS)
    n_common = (new.facts & by.facts).bit_count()
    share = min(share, _share(n_common, new.n_facts, by.n_facts, 8 * SKETCH_FACTS))
    return share if share >= KINSHIP else 0.0


def _least(text: Text) -> int:
    """The bits of its words that a text which tells KINSHIP of it has: a share is never over p."""
    return max(1, ceil(KINSHIP * text.n_words))


def _near(text: Text, others: Sequence[Text]) -> Iterator[int]:
    """The places of those of the others that may tell KINSHIP of `text`."""
    words, least = text.words, _least(text)
    for low in range(0, len(others), _BLOCK):
        block = others[low : low + _BLOCK]
        for i, n_common in enumerate([(words & other[0]).bit_count() for other in block]):
            if n_common >= least:
                yield low + i


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


class Stories(Spans):
    """Items in order of availability, then id, each with its story.

    An item is compared with those that were available in the `reach_us` before it and come earlier
    in the order. `news` are the columns of the items that are no re-prints.
    """

    def __init__(self, reach_us: int, items: Iterable[NewsItem] = ()) -> None:
        super().__init__()
        self.items = sorted(items, key=_order)
        self.times = [item.available_at for item in self.items]
        self.stories: list[Story] = []
        self._reach_us = reach_us
        self._texts = [text_of(item.sketch) for item in self.items]
        self._news: NewsColumns | None = None
        known = Overlaps()
        for at, text in enumerate(self._texts):
            low = bisect_right(self.times, self.times[at] - reach_us, 0, at)
            self.stories.append(self._story(at, known.sharing(text.words, _least(text), low)))
            known.add(text.words)

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
        self.stories.insert(at, self._compared(at))
        self.changed()
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
                self.stories[i] = self._compared(i)
        self._news = None
        self.changed()

    def forget(self, until: int) -> None:
        """Drop the items available at or before `until`, which no window reaches any more."""
        low = bisect_right(self.times, until)
        for column in (self.items, self.times, self._texts, self.stories):
            del column[:low]
        self._news = None
        self.changed()

    def between(self, after: int, cut: int) -> tuple[int, int]:
        """The span of the items available in (after, cut]."""
        high = bisect_right(self.times, cut)
        return bisect_right(self.times, after, 0, high), high

    def ids(self, low: int, high: int) -> tuple[str, ...]:
        """Of [low:high], newest first."""
        return tuple([item.article_id for item in reversed(self.items[low:high])])

    def models(self, low: int, high: int) -> Mapping[str, int]:
        """Items of [low:high] by sentiment model."""
        return dict(Counter([item.model for item in self.items[low:high]]))

    def n_sources(self, low: int, high: int) -> int:
        """Different sources of [low:high]."""
        return len({item.source for item in self.items[low:high]})

    def until(self, cut: int) -> Stories:
        """The items available at `cut` with their stories, to be changed on their own."""
        found, high = Stories(self._reach_us), bisect_right(self.times, cut)
        found.items, found.times = self.items[:high], self.times[:high]
        found.stories, found._texts = self.stories[:high], self._texts[:high]
        return found

    def _place(self, item: NewsItem) -> int:
        return bisect_left(self.items, _order(item), key=_order)

    def _count(self, news: NewsColumns, at: int) -> None:
        item, story = self.items[at], self.stories[at]
        if story.first == _order(item):
            news.insert(item, story.novelty)

    def _compared(self, at: int) -> Story:
        """Compare the item at `at` with those before it."""
        low = bisect_right(self.times, self.times[at] - self._reach_us, 0, at)
        return self._story(at, (low + i for i in _near(self._texts[at], self._texts[low:at])))

    def _story(self, at: int, near: Iterable[int]) -> Story:
        """The story of the item at `at`, of those before it that may tell some of it in order."""
        first = nearest = None
        most = 0.0
        for i in near:
            share = told_share(self._texts[at], self._texts[i])
            if first is None and share >= REPRINT:
                first = self.items[i]
            if share > most:
                most, nearest = share, self.items[i].article_id
            if share >= 1.0:
                break  # nothing tells more, and the first is known
        return Story(_order(first or self.items[at]), 1.0 - most, nearest)

    def _retell(self, at: int) -> bool:
        """Compare the later items with the one at `at`; whether one's story changed."""
        item, changed = self.items[at], False
        high = bisect_left(self.times, item.available_at + self._reach_us, at)
        for i in range(at + 1, high):
            share, story = told_share(self._texts[i], self._texts[at]), self.stories[i]
            if share == 0.0:
                continue
            if share >= REPRINT and _order(item) < story.first:
                story = story._replace(first=_order(item))
            if 1.0 - share < story.novelty:
                story = story._replace(novelty=1.0 - share, nearest=item.article_id)
            changed |= story is not self.stories[i]
            self.stories[i] = story
        return changed


def _order(item: NewsItem) -> Order:
    return item.available_at, item.article_id
