"""Which symbols an article is about, and how much. Pure.

A symbol weighs 3 as a cashtag ($AAPL, $BRK.B) in the headline, 2 as a given symbol, 1 as a cashtag
in the body; the highest counts. With w the weight, m the largest and s the sum of all weights:

    relevance = w / m / sqrt(s / m)

Alone an article's symbol gets 1; two given symbols get 0.71 each; of a headline's symbol and one
that only the body names, 0.87 and 0.29.
"""

from __future__ import annotations

import re
from math import sqrt
from typing import NamedTuple

from stream.events import NewsArticle

MAX_SYMBOLS = 20  # a list of more is a market wrap: the most relevant are kept
_IN_HEADLINE, _GIVEN, _IN_BODY = 3.0, 2.0, 1.0
_CASHTAG = re.compile(
    r"(?<![A-Za-z0-9$])\$([A-Za-z][A-Za-z0-9]{0,5}(?:[.\-](?:[A-Za-z]|[A-Z]{2})|[-/]USDT?)?)"
    r"(?![A-Za-z0-9$])"
)
_BODY_CHARS = 20_000  # where cashtags are looked for


class Mention(NamedTuple):
    """A symbol and how much the article is about it, 0..1."""

    symbol: str
    relevance: float


def cashtags(text: str) -> list[str]:
    """Symbols written as cashtags, in order, as often as they stand there.

    Examples
    --------
    >>> cashtags("$AAPL, $brk.b and $BTC-USD rise; a $5 bill and US$ do not")
    ['AAPL', 'BRK.B', 'BTC-USD']
    """
    return [found.upper() for found in _CASHTAG.findall(text)]


def mentions(article: NewsArticle) -> tuple[Mention, ...]:
    """Symbols of the article, most relevant first, then by name; at most MAX_SYMBOLS."""
    weights: dict[str, float] = dict.fromkeys(article.symbols, _GIVEN)
    for text, weight in (
        (article.headline, _IN_HEADLINE),
        (article.body[:_BODY_CHARS], _IN_BODY),
    ):
        for symbol in cashtags(text):
            weights[symbol] = max(weights.get(symbol, 0.0), weight)
    if not weights:
        return ()
    largest = max(weights.values())
    share = 1.0 / sqrt(sum(weights.values()) / largest)
    ranked = sorted(weights.items(), key=lambda item: (-item[1], item[0]))[:MAX_SYMBOLS]
    return tuple(Mention(symbol, weight / largest * share) for symbol, weight in ranked)
