"""Stored articles, and what prices did after each: a row an article's version and symbol.

The rows are the news rows that `retrain` learns from: an article counts from when its score was
known, and what a signal would not have been sent on (warming up, stale prices, unmatured, no
volatility) is left out and counted. The class is that of the return less the market's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import NamedTuple

import numpy as np

from stream.events import NewsArticle
from stream.features.overlaps import Overlaps
from stream.features.stories import REPRINT, Text, text_of, told_share
from stream.scoring.policy import Policy
from stream.sentiment.sketch import sketch
from stream.sentiment.text import clean
from training.errors import TrainingRefused
from training.history import History
from training.labels import Floats, Ints, classes
from training.replay import replay_apart
from training.rows import Labelled, TrainingTable
from training.sentiment.make import Progress
from training.stored_facts import main_sentiment_model

Version = tuple[str, int]  # article id and revision

_COLUMNS = NewsArticle.__struct_fields__
_ARTICLES = f"""
SELECT DISTINCT ON (id, revision) {", ".join(f'"{name}"' for name in _COLUMNS)}
FROM news WHERE status <> 'retracted'
ORDER BY id, revision, kafka_ts, topic_id, "partition", "offset"
"""
_SCORES = """
SELECT article_id, revision, symbol, positive - negative
FROM sentiments WHERE status <> 'retracted' AND model = %s
"""


@dataclass(frozen=True)
class Reactions:
    """Of each row of `rows`, in their order of as_of, the article and what is known of it.

    own : what the namespace's own model said of the symbol, -1..1.
    story : the row at which the article's story was first told; the row itself where it is new.
    """

    rows: TrainingTable
    articles: Sequence[NewsArticle]
    own: Floats
    story: Ints

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def relative_return(self) -> Floats:
        """Less the market's; a fraction."""
        assert self.rows.market_return is not None
        relative: Floats = self.rows.forward_return - self.rows.market_return
        return relative

    @property
    def y(self) -> Ints:
        """0 bearish, 1 neutral, 2 bullish: by the relative return."""
        rows = self.rows
        return classes(self.relative_return, rows.volatility, rows.rule, rows.cost)


class Told(NamedTuple):
    """Articles by version, and by version and symbol what the namespace's model said of them."""

    articles: Mapping[Version, NewsArticle]
    own: Mapping[tuple[str, int, str], float]


def read_reactions(
    history: History, policy: Policy, horizon: str | None, progress: Progress
) -> Reactions:
    """Replay what is stored. Raises TrainingRefused where no article has a reaction."""
    model = main_sentiment_model(history)
    total = history.n_events()

    def applied(n: int) -> None:
        progress(f"replaying {n:,} of {total:,} events", n / total)

    labelled = replay_apart(history.partitions(), policy, model, horizon=horizon, applied=applied)
    rows = history.connection.execute(_ARTICLES.encode())
    articles = {}
    for values in rows:
        named = dict(zip(_COLUMNS, values, strict=True))
        each = NewsArticle(**{**named, "symbols": tuple(named["symbols"])})
        articles[each.id, each.revision] = each
    scores = history.connection.execute(_SCORES, [model])
    own = {(ident, revision, symbol): score for ident, revision, symbol, score in scores}
    return reactions(labelled, Told(articles, own))


def reactions(labelled: Labelled, told: Told) -> Reactions:
    """The news rows of a replay, with their articles.

    Raises
    ------
    TrainingRefused
        There is none; says what was left out.
    """
    table = labelled.with_market()
    assert table.market_return is not None
    counts = Counter(table.counts)
    kept = []
    for i in np.flatnonzero(table.trigger == "news").tolist():
        if (*labelled.refs[i], str(table.symbol[i])) not in told.own:
            counts["retracted"] += 1
        elif labelled.refs[i] not in told.articles:
            counts["article not stored"] += 1
        elif np.isnan(table.market_return[i]):
            counts["no market"] += 1
        else:
            kept.append(i)
    if not kept:
        left = ", ".join(f"{n:,} {reason}" for reason, n in sorted(counts.items()))
        raise TrainingRefused(
            "expected stored articles whose symbols traded after them beside at least four others, "
            f"found none (left out: {left or 'nothing'}); load more history"
        )
    articles = [told.articles[labelled.refs[i]] for i in kept]
    own = [told.own[*labelled.refs[i], str(table.symbol[i])] for i in kept]
    rows = replace(table.take(np.array(kept)), counts=dict(sorted(counts.items())))
    return Reactions(rows, articles, np.array(own), stories(articles))


def stories(articles: Sequence[NewsArticle]) -> Ints:
    """For each article the place of the first one of its story, in the order given.

    Versions of one article are one story, and so is what tells at least REPRINT of its text.
    """
    known, firsts, texts = Overlaps(), list[int](), list[Text]()
    by_id: dict[str, int] = {}
    by_sketch: dict[bytes, int] = {}
    found = []
    for at, article in enumerate(articles):
        text = clean(article.headline, article.body)
        mark = sketch(text or article.headline)
        first = by_id.get(article.id, by_sketch.get(mark))
        if first is None:
            new = text_of(mark)
            near = known.sharing(new.words, max(1, ceil(REPRINT * new.n_words)))
            first = next((firsts[i] for i in near if told_share(new, texts[i]) >= REPRINT), at)
            if first == at:
                known.add(new.words)
                firsts.append(at)
                texts.append(new)
        by_id.setdefault(article.id, first)
        by_sketch.setdefault(mark, first)
        found.append(first)
    return np.array(found, dtype=np.int64)
