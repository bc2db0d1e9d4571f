"""Features of one symbol's news: tone, disagreement, attention, sources, and tone times move.

They see the items that are no re-prints; only `source_count` and `news_reprinted` see all.
"""

from __future__ import annotations

from math import fsum, sqrt

from stream.features.groups import Feature, Group, Values
from stream.features.news import NewsColumns
from stream.features.stories import Stories
from stream.features.view import View, Window

NO_ITEM = "no new item in the window"
DECAY_SPAN = 8  # half-lives that a decayed sum looks back: the rest weighs under 1/256


def tone(*windows: Window, base: Window) -> Group:
    """Mean polarity weighted by relevance, and the change of each window against the base's."""

    def compute(view: View) -> Values:
        means = [view.sentiments[window] for window in windows]
        usual = view.sentiments[base]
        changes: Values = [
            None if mean is None or usual is None else mean - usual for mean in means
        ]
        return [*means, usual, *changes]

    features = [
        Feature(f"sentiment_mean_{w.name}", "polarity", w.name, "[-1, 1]", NO_ITEM)
        for w in (*windows, base)
    ]
    features += [
        Feature(f"sentiment_change_{w.name}", "polarity", base.name, "[-2, 2]", NO_ITEM)
        for w in windows
    ]
    return Group(tuple(features), compute, reads_news=True)


def decay(*half_lives: Window) -> Group:
    """Sum of relevance * polarity * 2**(-age / half-life), over eight half-lives."""
    spans = [Window(f"decay {w.name}", us=DECAY_SPAN * w.us) for w in half_lives]
    rates = [-1.0 / w.us for w in half_lives]

    def compute(view: View) -> Values:
        out: Values = []
        news, high, cut = view.news, view.news_high, view.cut
        for span, rate in zip(spans, rates, strict=True):
            low = view.news_lows[span]
            if low == high:
                out.append(None)
                continue
            pairs = zip(news.weighted[low:high], news.times[low:high], strict=True)
            out.append(fsum([value * 2.0 ** ((cut - at) * rate) for value, at in pairs]))
        return out

    return Group(
        tuple(
            Feature(
                f"sentiment_decay_{w.name}", "polarity", f"8 x {w.name}", "(-inf, inf)", NO_ITEM
            )
            for w in half_lives
        ),
        compute,
        reads_news=True,
    )


def attention(*windows: Window, base: Window) -> Group:
    """New items in each window (0 is a value), the first window's rate against the base's."""
    first = windows[0]
    share = first.us / base.us

    def compute(view: View) -> Values:
        counts = [view.news_high - view.news_lows[window] for window in windows]
        usual = (view.news_high - view.news_lows[base]) * share
        return [*map(float, counts), counts[0] / usual if usual > 0.0 else None]

    features = [
        Feature(f"news_count_{w.name}", "items", w.name, "[0, inf)", "never") for w in windows
    ]
    name = f"news_surprise_{first.name}"
    features.append(Feature(name, f"ratio to {base.name}", base.name, "[0, inf)", NO_ITEM))
    return Group(tuple(features), compute, reads_news=True)


def texture(window: Window, longest: Window) -> Group:
    """How the items of a window differ, where they come from, when, and how long they are."""

    def compute(view: View) -> Values:
        news, high = view.news, view.news_high
        low = view.news_lows[window]
        age = None
        if view.news_lows[longest] < high:
            age = (view.cut - news.times[high - 1]) / 3.6e9
        told = view.told
        span = told.between(view.cut - window.us, view.cut)
        sources = float(told.once(Stories.n_sources, *span))
        n, n_told = high - low, span[1] - span[0]
        reprinted = 1.0 - n / n_told if n_told else None
        if n == 0:
            return [None, None, 0.0, age, None, sources, reprinted, None, None]
        dispersion, negative, novel, credible, length = news.once(_texture, low, high)
        outside = _after_close(view, low)
        return [dispersion, negative, novel, age, credible, sources, reprinted, length, outside]

    w = window.name
    return Group(
        (
            Feature(
                f"sentiment_dispersion_{w}", "polarity", w, "[0, 1]", "fewer than two new items"
            ),
            Feature(f"sentiment_negative_{w}", "probability", w, "[0, 1]", NO_ITEM),
            Feature(f"news_novel_{w}", "items", w, "[0, inf)", "never"),
            Feature(f"news_age_{longest.name}", "h", longest.name, "[0, inf)", NO_ITEM),
            Feature(f"source_credibility_{w}", "1", w, "[0, 1]", NO_ITEM),
            Feature(f"source_count_{w}", "sources", w, "[0, inf)", "never"),
            Feature(f"news_reprinted_{w}", "share", w, "[0, 1]", "no item, not even a re-print"),
            Feature(f"news_length_{w}", "log(1 + characters)", w, "[0, inf)", NO_ITEM),
            Feature(
                f"news_afterclose_{w}", "share", w, "[0, 1]", "no new item, or no session known"
            ),
        ),
        compute,
        reads_news=True,
    )


def with_returns(*pairs: tuple[Window, Window]) -> Group:
    """Mean sentiment of a window times the log return of a window."""

    def compute(view: View) -> Values:
        out: Values = []
        for news, market in pairs:
            mean, move = view.sentiments[news], view.returns[market]
            out.append(None if mean is None or move is None else mean * move)
        return out

    return Group(
        tuple(
            Feature(
                f"sentiment{news.name}_x_return_{market.name}",
                "polarity x log return",
                f"{news.name}, {market.name}",
                "(-inf, inf)",
                "either is missing",
            )
            for news, market in pairs
        ),
        compute,
        reads_news=True,
    )


def _texture(news: NewsColumns, low: int, high: int) -> Values:
    """Dispersion, mean P(negative), summed novelty, mean credibility and length of some items."""
    n = high - low
    return [
        _dispersion(news, low, high),
        fsum(news.negatives[low:high]) / n,
        fsum(news.novelties[low:high]),
        fsum(news.credibilities[low:high]) / n,
        fsum(news.lengths[low:high]) / n,
    ]


def _dispersion(news: NewsColumns, low: int, high: int) -> float | None:
    """Standard deviation of the polarity weighted by relevance."""
    mean = news.once(NewsColumns.tone, low, high)
    if mean is None or high - low < 2:
        return None
    polarities, weights = news.polarities[low:high], news.weights[low:high]
    squares = [
        weight * (polarity - mean) ** 2
        for weight, polarity in zip(weights, polarities, strict=True)
    ]
    return sqrt(fsum(squares) / fsum(weights))


def _after_close(view: View, low: int) -> float | None:
    """Share of the items of (low, high) that came outside sessions."""
    outside, known = view.book.count_outside(view.news.times[low : view.news_high], view.cut)
    return outside / known if known else None
