"""Which symbols an article is about, and how much. Pure.

Given symbols count as they are; cashtags ($AAPL, $BRK.B) in headline and body are added. An
article's relevance is split between its symbols, with a headline cashtag weighing double:

    relevance = max(0.2, weight / largest weight) / sqrt(number of symbols)
"""

from __future__ import annotations

import re
from math import sqrt
from typing import NamedTuple

from stream.events import NewsArticle

MAX_SYMBOLS = 20  # a list of more is a market wrap: the most relevant are kept
_CASHTAG = re.compile(r"\$([A-Za-z][A-Za-z0-9]{0,5}(?:[.\-][A-Za-z]{1,2})?)(?![A-Za-z0-9])")
_BODY_CHARS = 20_000  # where cashtags are looked for


class Mention(NamedTuple):
    """A symbol and how much the article is about it, 0..1."""

    symbol: str
    relevance: float


def mentions(article: NewsArticle) -> tuple[Mention, ...]:
    """Symbols of the article, most relevant first, then by name; at most MAX_SYMBOLS."""
    weights: dict[str, float] = dict.fromkeys(article.symbols, 1.0)
    for text, weight in ((article.headline, 2.0), (article.body[:_BODY_CHARS], 1.0)):
        for found in _CASHTAG.findall(text):
            symbol = found.upper()
            weights[symbol] = max(weights.get(symbol, 0.0), weight)
    if not weights:
        return ()
    top = max(weights.values())
    ranked = sorted(weights.items(), key=lambda item: (-item[1], item[0]))[:MAX_SYMBOLS]
    share = 1.0 / sqrt(len(weights))
    return tuple(Mention(symbol, max(0.2, weight / top) * share) for symbol, weight in ranked)
