"""What one vector may look at: everything of a symbol as known at one cut.

Windows in time are (cut - w, cut]: a pane counts when it ends inside, so for a cut inside a pane
the window reaches back up to one pane further. Windows in panes are the newest n panes.
"""

from __future__ import annotations

from bisect import bisect_right
from math import fsum, log
from typing import NamedTuple

from stream.features.news import NewsColumns
from stream.features.panes import DAY_US, HOUR_US, MAX_GAP_US, MINUTE_US, Pane
from stream.features.series import Series
from stream.features.sessions import Session, SessionBook


class Window(NamedTuple):
    """A span of time, or a count of panes. `name` is how features call it."""

    name: str
    us: int | None = None
    panes: int | None = None


def minutes(n: int) -> Window:
    """The last n minutes."""
    return Window(f"{n}m", us=n * MINUTE_US)


def hours(n: int) -> Window:
    """The last n hours."""
    return Window(f"{n}h", us=n * HOUR_US)


def days(n: int) -> Window:
    """The last n times 24 hours."""
    return Window(f"{n}d", us=n * DAY_US)


def sessions(n: int) -> Window:
    """The last n panes of one session each."""
    return Window(f"{n}d", panes=n)


class View:
    """One symbol at one cut; what several groups ask for is made once and kept."""

    __slots__ = (
        "_lows",
        "_means",
        "_news_lows",
        "_returns",
        "book",
        "cut",
        "high",
        "news",
        "news_high",
        "panes",
        "session",
        "session_high",
        "session_pane",
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
        news: NewsColumns,
        news_high: int,
    ) -> None:
        self.cut = cut
        self.panes = panes
        self.high = high  # panes[:high] end at or before the cut, or are open and included
        self.book = book
        self.session = session  # newest one opened by the cut
        self.session_pane = session_pane
        self.session_high = session_high  # book.done[:session_high] are done at the cut
        self.news = news
        self.news_high = news_high
        self._lows: dict[str, int | None] = {}
        self._news_lows: dict[str, int] = {}
        self._means: dict[str, float | None] = {}
        self._returns: dict[str, float | None] = {}

    def low(self, window: Window) -> int | None:
        """First pane of the window, which holds at least one; None where it is empty or short."""
        name = window[0]
        try:
            return self._lows[name]
        except KeyError:
            low: int | None
        if window.us is not None:
            low = bisect_right(self.panes.ends, self.cut - window.us, 0, self.high)
        else:
            low = self.high - (window.panes or 0)
        if low < 0 or low >= self.high:
            low = None
        self._lows[name] = low
        return low

    def log_return(self, window: Window) -> float | None:
        """Log of the last close over the close before the window, at most MAX_GAP_US older."""
        name = window[0]
        if name in self._returns:
            return self._returns[name]
        value = None
        low = self.low(window)
        if low:
            panes = self.panes
            if window.us is None or panes.ends[low - 1] > self.cut - window.us - MAX_GAP_US:
                value = log(panes.closes[self.high - 1] / panes.closes[low - 1])
        self._returns[name] = value
        return value

    def news_low(self, window: Window) -> int:
        """First item of the window; `news_high` where there is none."""
        low = self._news_lows.get(window[0])
        if low is None:
            assert window.us is not None
            low = bisect_right(self.news.times, self.cut - window.us, 0, self.news_high)
            self._news_lows[window[0]] = low
        return low

    def sentiment(self, window: Window) -> float | None:
        """Mean polarity weighted by relevance; None without an item of any relevance."""
        name = window[0]
        if name in self._means:
            return self._means[name]
        low, high = self.news_low(window), self.news_high
        value = None
        if low < high:
            weight = fsum(self.news.weights[low:high])
            if weight > 0.0:
                value = fsum(self.news.weighted[low:high]) / weight
        self._means[name] = value
        return value
