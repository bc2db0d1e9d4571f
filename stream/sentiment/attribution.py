"""Which symbols an article is about, where it says so, and how much. Pure.

With c the confidence in the way a symbol is named (`directory`; 1 for a given one), place 3 if the
headline names it, else 2 if it is given, else 0, and share the share of the body's sentences that
are about it:

    weight = c (place + share)        m = max(1, largest place + share)        s = sum of weights
    relevance = weight / m / sqrt(max(1, s / m))

Alone an article's given symbol gets 1; two given symbols get 0.71 each; of a headline's symbol and
one that is all the body's, 0.87 and 0.29; one that only one of ten sentences names, 0.1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import fsum, sqrt
from typing import NamedTuple

from stream.sentiment.directory import CASHTAG, Directory, Span
from stream.sentiment.sentences import Unit, clauses

MAX_SYMBOLS = 20  # a list of more is a market wrap: the most relevant are kept
_IN_HEADLINE, _GIVEN = 3.0, 2.0
FOLLOWS = 0.5  # weight of a sentence that names nobody and follows one that does


class Mention(NamedTuple):
    """A symbol and how much the article is about it, 0..1."""

    symbol: str
    relevance: float


class About(NamedTuple):
    """A clause and the symbols it is about, with a weight each."""

    text: str
    weights: dict[str, float]


class Attribution(NamedTuple):
    """Symbols, most relevant first, and what headline and body say of whom."""

    mentions: tuple[Mention, ...]
    headline: tuple[About, ...]
    body: tuple[About, ...]


def cashtags(text: str) -> list[str]:
    """Symbols written as cashtags, in order, as often as they stand there.

    Examples
    --------
    >>> cashtags("$AAPL, $brk.b and $BTC-USD rise; a $5 bill and US$ do not")
    ['AAPL', 'BRK.B', 'BTC-USD']
    """
    return [found.upper() for found in CASHTAG.findall(text)]


def attribute(
    headline: Sequence[str], body: Sequence[str], given: Sequence[str], directory: Directory
) -> Attribution:
    """Symbols of an article: sentences of its cleaned headline and body, given symbols."""
    sentences = [*headline, *body]
    known = frozenset(given)
    spans = _resolve(directory.find(sentences, known), known)
    confidence = dict.fromkeys(given, 1.0)
    for each in (span for found in spans for span in found):
        for symbol in each.symbols:
            confidence[symbol] = max(confidence.get(symbol, 0.0), each.confidence)
    units = [clauses(text, found) for text, found in zip(sentences, spans, strict=True)]
    top = [unit for each in units[: len(headline)] for unit in each]
    of_headline, of_body = _follow(top, [u for each in units[len(headline) :] for u in each])
    named_first = {symbol for unit in top for symbol in unit.named}
    shares = Counter(symbol for each in of_body for symbol in each.weights)
    places = {
        symbol: (
            (_IN_HEADLINE if symbol in named_first else _GIVEN if symbol in known else 0.0)
            + shares[symbol] / max(1, len(of_body))
        )
        for symbol in confidence
    }
    return Attribution(_ranked(places, confidence), of_headline, of_body)


def _ranked(places: dict[str, float], confidence: dict[str, float]) -> tuple[Mention, ...]:
    if not places:
        return ()
    largest = max(1.0, *places.values())
    weights = {symbol: confidence[symbol] * place for symbol, place in places.items()}
    crowd = sqrt(max(1.0, fsum(weights.values()) / largest))
    ranked = sorted(weights.items(), key=lambda item: (-item[1], item[0]))[:MAX_SYMBOLS]
    return tuple(Mention(symbol, weight / largest / crowd) for symbol, weight in ranked)


def _resolve(found: list[list[Span]], given: frozenset[str]) -> list[list[Span]]:
    """Drop weak spans that nothing else confirms; a shared name is the class named elsewhere."""
    sure = given.union(*(s.symbols for spans in found for s in spans if not s.weak))
    alone = given.union(
        *(s.symbols for spans in found for s in spans if not s.weak and len(s.symbols) == 1)
    )
    weak = [span for spans in found for span in spans if span.weak]
    times = Counter(span.symbols for span in weak)
    twice = {span.symbols for span in weak if span.prose and times[span.symbols] > 1}
    kept = []
    for spans in found:
        kept.append(
            [
                span._replace(symbols=tuple(s for s in span.symbols if s in alone) or span.symbols)
                for span in spans
                if not span.weak or span.symbols in twice or not sure.isdisjoint(span.symbols)
            ]
        )
    return kept


def _follow(headline: list[Unit], body: list[Unit]) -> tuple[tuple[About, ...], tuple[About, ...]]:
    """A clause that names k symbols is 1/k about each; one that names none follows the last."""
    found, last = [], frozenset[str]()
    for unit in [*headline, *body]:
        full = 1.0 if unit.named else FOLLOWS
        last = unit.named or last
        found.append(About(unit.text, dict.fromkeys(sorted(last), full / max(1, len(last)))))
    return tuple(found[: len(headline)]), tuple(found[len(headline) :])
