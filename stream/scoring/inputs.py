"""What the feature maths takes of an event. Pure."""

from __future__ import annotations

from stream.events import Bar, SentimentScored, micros
from stream.features.news import NewsItem
from stream.features.panes import Pane, of_bar


def pane_of(bar: Bar) -> Pane:
    """The pane that a bar closes."""
    return of_bar(
        micros(bar.start),
        micros(bar.end),
        bar.open,
        bar.high,
        bar.low,
        bar.close,
        bar.volume,
        bar.adj_close,
        bar.vwap,
        bar.n_trades,
    )


def news_item(scored: SentimentScored) -> NewsItem:
    """What the score says of its symbol."""
    return NewsItem(
        article_id=scored.article_id,
        revision=scored.revision,
        status=scored.status,
        source=scored.source,
        available_at=micros(scored.available_at),
        polarity=scored.positive - scored.negative,
        negative=scored.negative,
        neutral=scored.neutral,
        positive=scored.positive,
        relevance=scored.relevance,
        n_chars=scored.n_chars,
        model=scored.model,
        sketch=scored.sketch,
    )
