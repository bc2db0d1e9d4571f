"""What a model must read of an article for each symbol, and the score made of it. Pure.

A symbol's score is the weighted mean of

- the headline's clauses about it: weight 2 if they name it alone, 2/k if k symbols. A headline that
  names nobody is about an article's only symbol;
- the body's sentences about it, together 1: those that name it alone weigh 1, k together 1/k each,
  one that names nobody and follows them half. They are read in at most WINDOWS windows.

A symbol that nothing singles out gets the whole article's score: of its text if that is short, else
of headline and windows in the same way. An article has at most MAX_TEXTS texts; the least relevant
symbols make do with the whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum
from typing import NamedTuple

from models.sentiment.model import Probabilities
from stream.events import NewsArticle
from stream.sentiment.attribution import About, Mention, attribute
from stream.sentiment.directory import NOTHING_LISTED, Directory
from stream.sentiment.sentences import MAX_SENTENCES, split
from stream.sentiment.text import joined, paragraphs

MAX_TEXTS = 32  # of one article that a model reads
WINDOWS = 4  # of a symbol's sentences in the body
WINDOW_CHARS = 400  # about 90 tokens
HEADLINE, BODY = 2.0, 1.0


class Part(NamedTuple):
    """A text that counts `weight` in a symbol's score."""

    text: str
    weight: float


class Reading(NamedTuple):
    """An article as models see it: its text, its symbols, and the parts that make each score."""

    text: str
    mentions: tuple[Mention, ...]
    parts: dict[str, tuple[Part, ...]]
    whole: tuple[Part, ...]

    def of(self, symbol: str) -> tuple[Part, ...]:
        """The parts about the symbol; the whole article if nothing singles it out."""
        return self.parts.get(symbol, self.whole)


def read(article: NewsArticle, directory: Directory = NOTHING_LISTED) -> Reading:
    """Clean, split and attribute an article; its work is bounded whatever its size."""
    headline, body = " ".join(paragraphs(article.headline)), paragraphs(article.body)
    text = joined(headline, body)
    sentences = [each for line in body for each in split(line)][:MAX_SENTENCES]
    found = attribute(split(headline), sentences, article.symbols, directory)
    whole: tuple[Part, ...] = (Part(text, 1.0),)
    if len(text) > WINDOW_CHARS:
        whole = _parts([Part(headline, 1.0)], [Part(each, 1.0) for each in sentences])
    parts: dict[str, tuple[Part, ...]] = {}
    texts = {part.text for part in whole}
    for symbol, _ in found.mentions:
        top, rest = _about(symbol, found.headline), _about(symbol, found.body)
        if len(found.mentions) == 1 and rest and not any(each.weights for each in found.headline):
            top = [Part(headline, 1.0)]
        own = _parts(top, rest)
        more = texts.union(part.text for part in own)
        if own and len(more) <= MAX_TEXTS:
            texts, parts[symbol] = more, own
    return Reading(text, found.mentions, parts, whole)


def weigh(scores: Sequence[tuple[float, Probabilities]]) -> Probabilities:
    """The mean of probabilities by weight; one alone is left as it is."""
    if len(scores) == 1:
        return scores[0][1]
    total = fsum(weight for weight, _ in scores)
    return Probabilities(
        *(min(1.0, fsum(weight * score[i] for weight, score in scores) / total) for i in range(3))
    )


def _about(symbol: str, clauses: tuple[About, ...]) -> list[Part]:
    return [Part(each.text, each.weights[symbol]) for each in clauses if symbol in each.weights]


def _parts(headline: list[Part], body: list[Part]) -> tuple[Part, ...]:
    windows = _windows(body)
    total = fsum(window.weight for window in windows)
    own = [Part(window.text, BODY * window.weight / total) for window in windows]
    if headline:
        text = " ".join(part.text for part in headline)
        own.insert(0, Part(text, HEADLINE * max(part.weight for part in headline)))
    return tuple(part for part in own if part.text)


def _windows(sentences: list[Part]) -> list[Part]:
    """Sentences joined in order into texts of about WINDOW_CHARS, the first WINDOWS of them."""
    windows: list[Part] = []
    for each in sentences:
        text = each.text[:WINDOW_CHARS]
        last = windows[-1] if windows else None
        if last is not None and len(last.text) + len(text) < WINDOW_CHARS:
            windows[-1] = Part(f"{last.text} {text}", last.weight + each.weight)
        elif len(windows) < WINDOWS:
            windows.append(Part(text, each.weight))
        else:
            break
    return windows
