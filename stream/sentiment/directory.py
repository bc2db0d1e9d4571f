"""Which companies a text names: tickers, names and aliases of a symbol directory. Pure.

| named by | confidence | counts when |
| --- | --- | --- |
| `(NYSE: T)` | 1 | always |
| `$T` | 1 | always |
| Apple Inc | 0.95 | a legal form follows the name |
| Home Depot | 0.9 | capitals as the directory writes them; in a text without any, as it is |
| Pfizer | 0.85 | the same, one word |
| AAPL | 0.8 | in capitals; given, or listed with three letters and no everyday word |
| NOW | 0.8 | given, an everyday word, among small letters; never AI, IT, CEO ... |
| Apple | 0.7 | an everyday word too: capitals, in a text that has small letters |
| Target | 0.6 | the noisiest: a second sign (Corp, shares, a verb of companies, another mention) |

A broker that rates another company ("upgraded at Citi") counts when something else names it too.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

import ahocorasick

from stream.sentiment.company_words import ALWAYS_WORDS, BROKERS, COMMON, NOISY, TICKER_WORDS
from stream.sentiment.listings import FLAT, Listing, read_listings, spellings

_TAGGED, _CASHTAG, _FULL, _NAME, _WORD, _TICKER, _COMMON, _NOISY = (
    1.0, 1.0, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6,
)  # fmt: skip
CASHTAG = re.compile(
    r"(?<![A-Za-z0-9$])\$([A-Za-z][A-Za-z0-9]{0,5}(?:[.\-](?:[A-Za-z]|[A-Z]{2})|[-/]USDT?)?)"
    r"(?![A-Za-z0-9$])"
)
_EXCHANGE = re.compile(  # with spaces only in brackets: "Nasdaq: A look ahead"
    r"(?:\((?i:NYSE|NASDAQ|AMEX|NYSEARCA|NYSE (?:American|Arca|MKT)|NASDAQ ?G[SM]) ?: ?"
    r"|\b(?:NYSE|NASDAQ|AMEX):)([A-Z]{1,5}(?:[.\-][A-Z])?)(?!\w)"
)
_BARE = re.compile(
    r"(?<![\w$.\-/&])([A-Z][A-Z0-9]{1,5}(?:[.\-/][A-Z0-9]{1,4})?|[0-9][A-Z0-9]{1,7})(?![\w&])"
)
_LEGAL_NEXT = re.compile(
    r",?\s(?:Inc|Incorporated|Corp|Corporation|Co|Company|Ltd|Limited|plc|p\.l\.c|LLC|LP|N\.?V|"
    r"S\.?A|AG|SE|Group|Holdings?)\b",
    re.IGNORECASE,
)
_SIGN_NEXT = re.compile(
    r"(?:'s)?\s(?:shares?|stock(?!\smarket)|stores?|ceo|cfo|earnings|beats|misses|reports|reported|"
    r"posts|says|said|raises|raised|announce[sd]|unveils|acquires|sues|sued|plunges|soars|tumbles|"
    r"surges)\b"
    r"|\s?\((?:NYSE|NASDAQ)",
    re.IGNORECASE,
)
_SIGN_BEFORE = re.compile(
    r"\b(?:shares (?:of|in)|stock of|retailer|company|maker|chipmaker|lender|carrier|insurer|rival)"
    r"\s$",
    re.IGNORECASE,
)
_RATED_BY = re.compile(
    r"\b(?:analysts?|buy|coverage|cut|hold|initiated|neutral|outperform|overweight|raised|"
    r"rat(?:ed|ing)|reiterated|resumed|sell|started|target|underperform|underweight|"
    r"(?:up|down)graded?)\b"
    r"[^.;]{0,40}\b(?:at|by|from)\s$",
    re.IGNORECASE,
)
_RATES = re.compile(
    r"(?:'s)?\s(?:analysts?|upgrades|downgrades|initiates|reiterates|resumes|rates)\b",
    re.IGNORECASE,
)
_PRICE_BEFORE = re.compile(r"\bprice\s$", re.IGNORECASE)  # a price target, everybody's
_SMALL_WORD_BEFORE = re.compile(r"(?:^|\s)[a-z][\w'-]*,?\s$")


class Span(NamedTuple):
    """A place where symbols are named: more than one where classes of shares share the name.

    weak : it counts only when something else in the article says so.
    prose : written with a capital after a word without one.
    """

    start: int
    end: int
    symbols: tuple[str, ...]
    confidence: float
    weak: bool = False
    prose: bool = False


class _Name(NamedTuple):
    spelled: str
    symbols: tuple[str, ...]
    confidence: float


class Directory:
    """Finds symbols in text; without listings, cashtags, exchange tags and given tickers alone."""

    def __init__(self, listings: Iterable[Listing] = ()) -> None:
        self.listings = tuple(sorted(listings))
        self._names: dict[str, _Name] = {}
        self._tickers = frozenset(each.symbol for each in self.listings)
        self._classes = {_plain_class(symbol): symbol for symbol in sorted(self._tickers)}
        for listing in self.listings:
            for spelled, noisy in spellings(listing):
                self._add(spelled, listing.symbol, noisy)
        self._automaton = ahocorasick.Automaton()
        for name in self._names:
            self._automaton.add_word(name, name)
        if self._names:
            self._automaton.make_automaton()

    @property
    def digest(self) -> str:
        """Eight hex digits of what is listed."""
        return hashlib.blake2b(repr(self.listings).encode(), digest_size=4).hexdigest()

    def find(
        self, sentences: Sequence[str], given: frozenset[str] = frozenset()
    ) -> list[list[Span]]:
        """Places that name a symbol, in order, a list a sentence (which has no line break).

        Tickers in `given` also count as written bare in capitals, everyday words (NOW, LMT) too
        where the sentence has small letters; only ALWAYS_WORDS (AI, IT, CEO, ...) never do.
        """
        found: list[list[Span]] = [[] for _ in sentences]
        starts = [0, *accumulate(len(each) + 1 for each in sentences)]
        text = "\n".join(sentences)

        def place(start: int, end: int) -> tuple[int, int, int]:
            line = bisect_right(starts, start) - 1
            return line, start - starts[line], end - starts[line]

        for pattern, confidence in ((CASHTAG, _CASHTAG), (_EXCHANGE, _TAGGED)):
            for m in pattern.finditer(text):
                line, start, end = place(*m.span())
                found[line].append(Span(start, end, (self._listed(m[1].upper()),), confidence))
        taken = set()
        flat = text.translate(FLAT)
        for first, last, name in self._names_in(flat):
            line, start, end = place(first, last)
            sentence = flat[starts[line] : starts[line + 1] - 1]
            span = _judge(sentence, start, end, self._names[name])
            if span is not None:
                found[line].append(span)
                taken.add((line, start, end))
        for m in _BARE.finditer(text):
            symbol = m[1]
            if symbol in ALWAYS_WORDS or not (symbol in given or symbol in self._tickers):
                continue
            line, start, end = place(*m.span())
            shouted, word = sentences[line].isupper(), symbol in TICKER_WORDS
            listed = len(symbol) > 2 and not word and not shouted
            if (symbol in given and not (word and shouted)) or (
                listed and (line, start, end) not in taken
            ):
                found[line].append(Span(start, end, (symbol,), _TICKER))
        for spans in found:
            spans.sort()
        return found

    def _names_in(self, text: str) -> Iterator[tuple[int, int, str]]:
        """Names at word boundaries, the longest where they overlap."""
        if not self._names:
            return
        low = text.lower()
        if len(low) != len(text):
            low = "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
        found = []
        for last, name in self._automaton.iter(low):
            start, end = last + 1 - len(name), last + 1
            if not low[end : end + 1].isalnum() and not (start and low[start - 1].isalnum()):
                found.append((start, -end, name))
        free = 0
        for start, minus_end, name in sorted(found):
            if start >= free:
                free = -minus_end
                yield start, free, name

    def _add(self, spelled: str, symbol: str, noisy: bool) -> None:
        key = spelled.lower()
        if noisy or key in NOISY:
            confidence = _NOISY
        elif key in COMMON:
            confidence = _COMMON
        else:
            confidence = _NAME if " " in key else _WORD
        known = self._names.get(key)
        if known is not None:
            symbols = tuple(sorted({*known.symbols, symbol}))
            self._names[key] = _Name(known.spelled, symbols, min(known.confidence, confidence))
        else:
            self._names[key] = _Name(spelled, (symbol,), confidence)

    def _listed(self, symbol: str) -> str:
        """The symbol as the directory writes it: BRK.A as BRK-A."""
        return (
            symbol if symbol in self._tickers else self._classes.get(_plain_class(symbol), symbol)
        )


NOTHING_LISTED = Directory()


def read_directory(path: Path | None) -> Directory:
    """The directory of a CSV file (`listings`). Raises Refused where a line does not fit."""
    return NOTHING_LISTED if path is None else Directory(read_listings(path))


def _judge(text: str, start: int, end: int, name: _Name) -> Span | None:
    """The span, if the name may stand for the company there."""
    written = text[start:end]
    doubtful = name.confidence <= _COMMON
    shouted, whispered = text.isupper(), text.islower()
    if whispered:
        if doubtful or _is_acronym(name.spelled):
            return None
    elif not shouted and not _has_capitals(written, name.spelled):
        return None
    rest = text[end : end + 40]
    before = text[max(0, start - 64) : start]
    rates = written.lower() in BROKERS and bool(_RATED_BY.search(before) or _RATES.match(rest))
    if _LEGAL_NEXT.match(rest):
        return Span(start, end, name.symbols, _FULL, weak=rates)
    if name.confidence == _NOISY and _PRICE_BEFORE.search(before):
        return None
    signed = bool(_SIGN_NEXT.match(rest) or _SIGN_BEFORE.search(before))
    weak = rates or (not signed and (name.confidence == _NOISY or (doubtful and shouted)))
    prose = not (shouted or rates) and bool(_SMALL_WORD_BEFORE.search(before))
    return Span(start, end, name.symbols, name.confidence, weak, prose)


def _has_capitals(written: str, spelled: str) -> bool:
    """Whether each word that the directory writes with a capital has one."""
    if _is_acronym(spelled):
        return written == spelled
    if len(written) != len(spelled) or written.isupper():
        return written.isupper()
    heads = [i for i in range(len(spelled)) if i == 0 or not spelled[i - 1].isalnum()]
    return all(written[i].isupper() or not spelled[i].isupper() for i in heads)


def _is_acronym(spelled: str) -> bool:
    return spelled.isupper() and len(spelled) <= 4


def _plain_class(symbol: str) -> str:
    return symbol.replace("-", ".").replace("/", ".")
