"""Features of one symbol against all others: the market, its return against it, its rank in it.

They see the newest MarketPane that counts (see `marketbook`), and those before it. Windows in time
reach back from its end; windows in sessions are the newest n intervals.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import fsum

from stream.features.crosssection import FEWEST, beta, rank, z_score
from stream.features.groups import Feature, Group, Values
from stream.features.marketbook import MarketView
from stream.features.view import View, Window

NO_MARKET = "no market pane"
NO_PAIR = "no interval in which both moved"


def context(*windows: Window, sentiment: str) -> Group:
    """What the market did: its return over each window, breadth and spread of the newest interval.

    Parameters
    ----------
    sentiment : the compared feature whose mean is the market's sentiment.
    """

    def compute(market: MarketView) -> Values:
        newest = market.newest
        tone = newest.ranked.get(sentiment)
        moved = [market.moved(window) for window in windows]
        return [*moved, newest.breadth, newest.spread, None if tone is None else tone.mean]

    name = windows[0].name
    span = sentiment.rpartition("_")[2]
    return _of_market(
        (
            *(
                Feature(f"market_return_{w.name}", "log return", w.name, "(-inf, inf)", NO_MARKET)
                for w in windows
            ),
            Feature(f"market_breadth_{name}", "share up", name, "[0, 1]", NO_MARKET),
            Feature(f"market_spread_{name}", "log return", name, "[0, inf)", NO_MARKET),
            Feature(f"market_sentiment_{span}", "polarity", span, "[-1, 1]", NO_MARKET),
        ),
        compute,
    )


def excess(*windows: Window) -> Group:
    """Return over each window less the market's, and less the mean of the symbol's sector."""

    def compute(market: MarketView) -> Values:
        out: Values = []
        for window in windows:
            pairs = market.within(window)
            out.append(fsum([own - its for _, own, its in pairs]) if pairs else None)
            sector = [market.sector_return(end) for end, _, _ in pairs]
            known = [
                own - mean
                for (_, own, _), mean in zip(pairs, sector, strict=True)
                if mean is not None
            ]
            out.append(fsum(known) if pairs and len(known) == len(pairs) else None)
        return out

    features = []
    for w in windows:
        features += [
            Feature(f"return_market_{w.name}", "log return", w.name, "(-inf, inf)", NO_PAIR),
            Feature(
                f"return_sector_{w.name}", "log return", w.name, "(-inf, inf)",
                f"{NO_PAIR}, or no sector",
            ),
        ]  # fmt: skip
    return _of_market(tuple(features), compute)


def exposure(window: Window, fewest: int, *residuals: Window) -> Group:
    """Beta to the market over a window, and the return that it leaves unexplained over others.

    A window in time is all that a view shows.

    Parameters
    ----------
    fewest : intervals in which both moved, for a beta.
    """

    def compute(market: MarketView) -> Values:
        pairs = market.pairs[-longest:]
        slope = beta(pairs) if len(pairs) >= fewest else None
        if slope is None:
            return [None] * (1 + len(residuals))
        left = [[own - slope * its for _, own, its in market.within(w)] for w in residuals]
        return [slope, *(fsum(each) if each else None for each in left)]

    longest = window.panes
    missing = f"fewer than {fewest} intervals in which both moved"
    return _of_market(
        (
            Feature(f"beta_market_{window.name}", "1", window.name, "(-inf, inf)", missing),
            *(
                Feature(
                    f"return_residual_{w.name}", "log return", window.name, "(-inf, inf)", missing
                )
                for w in residuals
            ),
        ),
        compute,
    )


def standing(compared: Sequence[str], own: Sequence[Group], *, less_mean: Sequence[str]) -> Group:
    """Where the symbol's own values stand among those of all symbols: rank and z-score.

    Parameters
    ----------
    compared : names of features of the groups `own`, which come first in the vector.
    less_mean : those of them that are also shown less the market's mean.
    """
    names = [feature.name for group in own for feature in group.features]
    places = [(name, names.index(name)) for name in compared]

    def compute(view: View) -> Values:
        market, out = view.market, Values()
        for name, place in places:
            value = view.own[place]
            cross = None if market is None else market.newest.ranked.get(name)
            if value is None or cross is None or cross.n < FEWEST:
                out += (None, None)
            else:
                out += (rank(cross, value), z_score(cross, value))
            if name in less_mean:
                out.append(None if value is None or cross is None else value - cross.mean)
        return out

    missing = f"no value, or fewer than {FEWEST} symbols with one"
    features = []
    for name in compared:
        signal, window = name.partition("_")[0], name.rpartition("_")[2]
        features += [
            Feature(f"{signal}_market_rank_{window}", "share below", window, "[0, 1]", missing),
            Feature(
                f"{signal}_market_z_{window}", "standard deviations", window, "(-inf, inf)",
                f"{missing}, or all equal",
            ),
        ]  # fmt: skip
        if name in less_mean:
            features.append(
                Feature(
                    f"{signal}_market_{window}", "polarity", window, "[-2, 2]", "either missing"
                )
            )
    return Group(tuple(features), compute)


def _of_market(features: tuple[Feature, ...], compute: Callable[[MarketView], Values]) -> Group:
    """Features that hang on the market's view alone, not on the cut."""
    unknown: Values = [None] * len(features)

    def once(view: View) -> Values:
        return unknown if view.market is None else view.market.once(compute)

    return Group(features, once)
