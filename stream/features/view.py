"""What one vector may look at: everything of a symbol as known at one cut.

Windows in time are (cut - w, cut]: a pane counts when it ends inside, so for a cut inside a pane
the window reaches back up to one pane further. Windows in panes are the newest n panes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import cache
from math import log
from typing import TYPE_CHECKING

from stream.features.news import NewsColumns
from stream.features.panes import DAY_US, HOUR_US, MAX_GAP_US, MINUTE_US, Pane
from stream.features.series import Series
from stream.features.sessions import Session, SessionBook
from stream.features.stories import Stories

if TYPE_CHECKING:
    from stream.features.marketbook import MarketView


class Window:
    """A span of time, or a count of panes. `name` is how features call it. One object a window."""

    __slots__ = ("name", "panes", "us")

    def __init__(self, name: str, us: int = 0, panes: int = 0) -> None:
        self.name = name
        self.us = us
        self.panes = panes


@cache
def minutes(n: int) -> Window:
    """The last n minutes."""
    return Window(f"{n}m", us=n * MINUTE_US)


@cache
def hours(n: int) -> Window:
    """The last n hours."""
    return Window(f"{n}h", us=n * HOUR_US)


@cache
def days(n: int) -> Window:
    """The last n times 24 hours."""
    return Window(f"{n}d", us=n * DAY_US)


@cache
def sessions(n: int) -> Window:
    """The last n panes of one session each."""
    return Window(f"{n}d", panes=n)


class PaneLows(dict[Window, "int | None"]):
    """First pane of a window, which holds at least one; None where it is empty or short."""

    __slots__ = ("cut", "ends", "high")

    def __init__(self, ends: list[int], cut: int, high: int) -> None:
        self.ends = ends
        self.cut = cut
        self.high = high

    def __missing__(self, window: Window) -> int | None:
        if window.panes:
            low = self.high - window.panes
        else:
            low = bisect_right(self.ends, self.cut - window.us, 0, self.high)
        self[window] = found = low if 0 <= low < self.high else None
        return found


class Returns(dict[Window, "float | None"]):
    """Log of the last close over the close before the window, at most MAX_GAP_US older."""

    __slots__ = ("lows", "panes")

    def __init__(self, panes: Series, lows: PaneLows) -> None:
        self.panes = panes
        self.lows = lows

    def __missing__(self, window: Window) -> float | None:
        value = None
        panes, lows = self.panes, self.lows
        low = lows[window]
        if low and (window.panes or panes.ends[low - 1] > lows.cut - window.us - MAX_GAP_US):
            value = log(panes.closes[lows.high - 1] / panes.closes[low - 1])
        self[window] = value
        return value


class NewsLows(dict[Window, int]):
    """First item of a window; the view's `news_high` where there is none."""

    __slots__ = ("cut", "high", "times")

    def __init__(self, times: list[int], cut: int, high: int) -> None:
        self.times = times
        self.cut = cut
        self.high = high

    def __missing__(self, window: Window) -> int:
        self[window] = low = bisect_right(self.times, self.cut - window.us, 0, self.high)
        return low


class Sentiments(dict[Window, "float | None"]):
    """Mean polarity weighted by relevance; None without an item of any relevance."""

    __slots__ = ("lows", "news")

    def __init__(self, news: NewsColumns, lows: NewsLows) -> None:
        self.news = news
        self.lows = lows

    def __missing__(self, window: Window) -> float | None:
        low, high = self.lows[window], self.lows.high
        self[window] = value = self.news.once(NewsColumns.tone, low, high) if low < high else None
        return value


class View:
    """One symbol at one cut; what several groups ask for is made once and kept, by window."""

    __slots__ = (
        "book",
        "cut",
        "high",
        "lows",
        "market",
        "news",
        "news_high",
        "news_lows",
        "own",
        "panes",
        "returns",
        "sector",
        "sentiments",
        "session",
        "session_high",
        "session_pane",
        "told",
    )

    def __init__(
        self,
        cut: int,
        panes: Series,
        high: int,
        book: SessionBook,
        session: Session | None,
        session_pane: Pane | None,
        session_high: int,
        told: Stories,
        market: MarketView | None,
        sector: str,
    ) -> None:
        self.cut = cut
        self.market = market
        self.sector = sector  # empty: unknown
        self.own: Sequence[float | None] = ()  # the values so far, in the vector's order
        self.panes = panes
        self.high = high  # panes[:high] end at or before the cut, or are open and included
        self.book = book
        self.session = session  # newest one opened by the cut
        self.session_pane = session_pane
        self.session_high = session_high  # book.done[:session_high] are done at the cut
        self.told = told  # every item; `news` are those that are no re-prints
        self.news = news = told.news
        self.news_high = news_high = bisect_right(news.times, cut)
        self.lows = PaneLows(panes.ends, cut, high)
        self.returns = Returns(panes, self.lows)
        self.news_lows = NewsLows(news.times, cut, news_high)
        self.sentiments = Sentiments(news, self.news_lows)
