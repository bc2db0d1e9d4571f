"""Sentences and clauses of an article, each with the symbols that it names. Pure.

A sentence is cut where both sides name different symbols and say something of them: at `;`, at a
dash, at while, but, as, whereas and their like, and more warily at a comma and at `and`.
"""

from __future__ import annotations

import re
from itertools import zip_longest
from typing import NamedTuple

import sentencex

from stream.sentiment.company_words import LEGAL
from stream.sentiment.directory import Span

MAX_SENTENCES = 200  # of a body that are read
_SENTENCE_CHARS = 1_000  # a longer one is cut
_MAX_SPANS = 30  # a sentence of more is a list
_CUT = re.compile(
    r"(?P<strong>\s*;\s*|\s[-–—]+\s|(?<!\bwell)(?<!\bmuch)(?<!\bsuch),?\s(?:even\s)?"
    r"(?:while|whilst|whereas|but|although|though|yet|however|because|after|when|against|versus|"
    r"compared with|as(?!\s(?:well|much|long|of)\b))\s)"
    r"|(?P<weak>,\s(?:and\s)?|\sand\s)",
    re.IGNORECASE,
)
_TICKER_END = re.compile(r"(?:\$\w{1,5}|\b[A-Z]{1,5})\.\Z")
_CLASS = re.compile(r"[A-Z]{1,2}(?![A-Za-z])")
_WORD = re.compile(r"[^\W_]+(?:['’.\-][^\W_]+)*")
_POSSESSIVE = re.compile(r"['’]s?\s")
_FUNCTION_WORDS = (
    "a an the of and or both in at for with by on to while as but not such like s "
    "share shares stock stocks"
)
_SAYS_NOTHING = LEGAL.union(_FUNCTION_WORDS.split())


class Unit(NamedTuple):
    """A sentence or a clause of one, and the symbols that it names."""

    text: str
    named: frozenset[str]


def split(paragraph: str) -> list[str]:
    """The paragraph's sentences."""
    found: list[str] = []
    for raw in sentencex.segment("en", paragraph):
        if found and _CLASS.match(raw) and _TICKER_END.search(found[-1][-8:]):
            found[-1] += raw  # $BRK.B is no end of a sentence
        else:
            found.append(raw)
    return [
        sentence
        for raw in found
        for at in range(0, len(raw), _SENTENCE_CHARS)
        if (sentence := raw[at : at + _SENTENCE_CHARS].strip())
    ]


def clauses(sentence: str, spans: list[Span]) -> list[Unit]:
    """The sentence, cut where it turns from one symbol to another."""
    whole = Unit(sentence, _named(spans))
    if len(whole.named) < 2 or not 2 <= len(spans) <= _MAX_SPANS:
        return [whole]
    units, start = [], 0
    cuts = [cut for cut in _CUT.finditer(sentence) if not _inside(cut, spans)]
    for cut, follower in zip_longest(cuts, cuts[1:]):
        left = [s for s in spans if start <= s.start and s.end <= cut.start()]
        right = [s for s in spans if s.start >= cut.end()]
        near = [s for s in right if follower is None or s.end <= follower.start()]
        if not left or not near or _named(left) & _named(near):
            continue
        weak = cut["weak"] is not None
        if _speaks(sentence, start, cut.start(), left, weak, last=True) and _speaks(
            sentence, cut.end(), len(sentence), right, weak, last=False
        ):
            units.append(Unit(sentence[start : cut.start()].strip(" ,"), _named(left)))
            start = cut.end()
    rest = [s for s in spans if s.start >= start]
    return [*units, Unit(sentence[start:].strip(), _named(rest))]


def _inside(cut: re.Match[str], spans: list[Span]) -> bool:
    """Whether a name has the words of the cut in it, as Procter and Gamble has."""
    return any(span.start < cut.end() and cut.start() < span.end for span in spans)


def _named(spans: list[Span]) -> frozenset[str]:
    return frozenset(symbol for span in spans for symbol in span.symbols)


def _speaks(
    sentence: str, start: int, end: int, spans: list[Span], weak: bool, *, last: bool
) -> bool:
    """Whether a side says something of its symbol; at a weak cut it must say it after the name."""
    name = spans[-1] if last else spans[0]
    after = _n_words(sentence[name.end : end])
    if weak:
        owned = last and _POSSESSIVE.match(sentence, name.end) is not None
        return after > owned
    return after > 0 or _n_words(sentence[start : spans[0].start]) > 0


def _n_words(text: str) -> int:
    return sum(word.lower().rstrip(".") not in _SAYS_NOTHING for word in _WORD.findall(text))
