"""Whether the news still look like news: shares of the latest articles and scores. Pure.

A feed that breaks goes on sending well-formed articles: without bodies, without symbols, all alike;
a model that breaks scores all texts alike. Each is a share that goes to 1 within the window.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Hashable, Mapping
from typing import NamedTuple

from models.sentiment.model import Probabilities

SPAN_US = 120_000_000  # at 20 articles a second a break fills the window in under two minutes,
AT_LEAST = 50  # on a slow feed in so many articles
AT_MOST = 2_000
DRIFT_SCORES = 1_000
BROKEN = 0.95  # of a window; with a model that calls 70 % neutral, by chance once in 1e5 windows
ARTICLE_KINDS = ("no_body", "no_symbol", "one_headline", "unscored")
SCORE_KINDS = ("neutral", "zero", "one_score")
KINDS = ARTICLE_KINDS + SCORE_KINDS
USUAL = frozenset({"no_body"})  # of many a sound feed: broken only where it was otherwise before


class _Entry(NamedTuple):
    at_us: int
    kinds: tuple[str, ...]
    what: Hashable


class Window:
    """The last `span_us`, but at least `at_least` and at most `at_most` entries.

    Each is of some kinds, and is something: `alike` is the share of what most of them are.

    Examples
    --------
    >>> window = Window(span_us=10, at_least=2, at_most=3)
    >>> for at, kind in ((0, "odd"), (1, "even"), (2, "odd"), (3, "odd")):
    ...     window.add(at, (kind,), kind)
    >>> window.share("odd"), window.alike(), len(window)
    (0.6666666666666666, 0.6666666666666666, 3)
    """

    def __init__(self, span_us: int, at_least: int, at_most: int) -> None:
        self._span_us = span_us
        self._at_least = at_least
        self._at_most = at_most
        self._latest = 0
        self._entries: deque[_Entry] = deque()
        self._kinds: Counter[str] = Counter()
        self._whats: Counter[Hashable] = Counter()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def is_full(self) -> bool:
        """Whether shares mean something yet."""
        return len(self._entries) >= self._at_least

    def add(self, at_us: int, kinds: tuple[str, ...], what: Hashable) -> None:
        """Take one in; time never goes back."""
        self._latest = max(self._latest, at_us)
        self._entries.append(_Entry(self._latest, kinds, what))
        self._kinds.update(kinds)
        self._whats[what] += 1
        oldest = self._latest - self._span_us
        while len(self._entries) > self._at_most or (
            len(self._entries) > self._at_least and self._entries[0].at_us < oldest
        ):
            self._forget(self._entries.popleft())

    def share(self, kind: str) -> float | None:
        """Of the entries, 0..1; None before the window is full."""
        return self._kinds[kind] / len(self._entries) if self.is_full else None

    def alike(self) -> float | None:
        """The share of the most frequent thing; None before the window is full."""
        return max(self._whats.values()) / len(self._entries) if self.is_full else None

    def _forget(self, entry: _Entry) -> None:
        self._kinds.subtract(entry.kinds)
        self._whats[entry.what] -= 1
        if not self._whats[entry.what]:
            del self._whats[entry.what]


class Guard:
    """What the latest articles and scores are like.

    Parameters
    ----------
    references : by a model's label the shares of negative, neutral and positive that it gave in
        training; scores of other models have no drift.
    """

    def __init__(self, references: Mapping[str, Probabilities] | None = None) -> None:
        self._articles = Window(SPAN_US, AT_LEAST, AT_MOST)
        self._scores = Window(SPAN_US, AT_LEAST, AT_MOST)
        self._references = dict(references or {})
        self._classes = {model: Window(0, DRIFT_SCORES, DRIFT_SCORES) for model in self._references}
        self._broken: dict[str, float] = {}

    def article(
        self, at_us: int, headline: str, *, no_body: bool, no_symbol: bool, unscored: bool
    ) -> None:
        """Count an article; `unscored` is one that no model scored."""
        flags = {"no_body": no_body, "no_symbol": no_symbol, "unscored": unscored}
        self._articles.add(at_us, tuple(name for name, on in flags.items() if on), headline)

    def score(self, at_us: int, model: str, score: Probabilities) -> None:
        """Count a score that a model gave."""
        called = max(Probabilities._fields, key=lambda name: getattr(score, name))
        zero = score.positive == score.negative
        flags = {"neutral": called == "neutral", "zero": zero}
        self._scores.add(at_us, tuple(name for name, on in flags.items() if on), score)
        if model in self._classes:
            self._classes[model].add(at_us, (called,), called)

    def shares(self) -> dict[str, float | None]:
        """By kind the share of the latest articles or scores; None while there are too few."""
        return {
            "no_body": self._articles.share("no_body"),
            "no_symbol": self._articles.share("no_symbol"),
            "one_headline": self._articles.alike(),
            "unscored": self._articles.share("unscored"),
            "neutral": self._scores.share("neutral"),
            "zero": self._scores.share("zero"),
            "one_score": self._scores.alike(),
        }

    def breaks(self) -> dict[str, float]:
        """The kinds, with their shares, that were sound when last asked for and are no more."""
        before = self._broken
        self._broken = {
            kind: share
            for kind, share in self.shares().items()
            if share is not None and share >= BROKEN and kind not in USUAL
        }
        return {kind: share for kind, share in self._broken.items() if kind not in before}

    def drift(self) -> dict[str, float]:
        """By model half the sum of differences between its shares now and in training, 0..1."""
        return {
            model: sum(
                abs((window.share(name) or 0.0) - getattr(self._references[model], name))
                for name in Probabilities._fields
            )
            / 2
            for model, window in self._classes.items()
            if window.is_full
        }
