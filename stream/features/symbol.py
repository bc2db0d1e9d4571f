"""One symbol's state: takes its events one by one, gives its vector at any cut.

Cuts may lie up to `SLACK_US` before the newest applied event; what is older than the longest window
and the slack is forgotten. A slot of the checkpoint is about 150 bytes: a closed pane is written
once, an open one and the short `misc` slot with each checkpoint that changed them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from enum import Enum

import msgspec

from stream.errors import Refused, Rejected
from stream.features.adjust import Action
from stream.features.news import NewsBook, NewsItem
from stream.features.panes import HOUR_US, MAX_GAP_US, Pane, merged, of_bar, resolved
from stream.features.seen import SeenTrades
from stream.features.series import Series
from stream.features.sessions import Session, SessionBook
from stream.features.vector import FeatureSet
from stream.features.view import View

SLACK_US = HOUR_US
MAX_EVIDENCE = 20
SLACK_PANES = 5  # where panes are kept by count
_encode = msgspec.json.encode


class NewsChange(Enum):
    """What a news item did to the state."""

    ADDED = "added"
    REPLACED = "replaced"
    REMOVED = "removed"
    IGNORED = "ignored"


class Misc(msgspec.Struct, array_like=True):
    """What no other slot holds. Times in microseconds; 0 before the first."""

    closed_through: int = 0  # every pane that ends here or before is closed
    newest: int = 0  # highest time on the tape seen
    last_price: float | None = None
    last_trade_at: int | None = None
    early_close: tuple[int, int] | None = None


class SymbolState:
    """All that the features of one symbol need. Times are microseconds since 1970 UTC."""

    def __init__(self, symbol: str, feature_set: FeatureSet) -> None:
        self.symbol = symbol
        self.feature_set = feature_set
        self._pane_us = feature_set.pane_us
        self._panes = Series(None if feature_set.pane_us is None else MAX_GAP_US)
        self._open: dict[int, Pane] = {}  # by start
        self._seen: dict[int, SeenTrades] = {}  # of open panes, by start
        self._current: Pane | None = None  # the open pane that last took a trade
        self._book = SessionBook(feature_set.sessions_kept)
        self._news = NewsBook()
        self._actions: list[Action] = []
        self._misc = Misc()
        self._changed: dict[str, None] = {}  # slots, in order of change
        self._traded = False  # whether open panes changed

    # -- the tape ------------------------------------------------------------------------------

    def apply_trade(
        self,
        ts: int,
        price: float,
        size: float,
        *,
        bid: float | None = None,
        ask: float | None = None,
        regular: bool = True,
    ) -> bool:
        """Add a trade to its pane; False, with nothing changed, where that is closed (late)."""
        pane = self._current
        if pane is None or not pane.start <= ts < pane.end:
            pane = self._pane_of(ts, price)
            if pane is None:
                return False
        pane.add(ts, price, size, bid, ask, regular)
        self._traded = True
        misc = self._misc
        misc.last_price = price
        if ts > misc.newest:
            misc.newest = ts
        return True

    def repeats(self, ts: int, exchange: str, seq: int) -> bool:
        """Whether the open pane of `ts` has this trade already; it has it from now on."""
        width = self._pane_us
        if width is None:
            return False
        start = ts - ts % width
        if start + width <= self._misc.closed_through:
            return False
        seen = self._seen.get(start)
        if seen is None:
            seen = self._seen[start] = SeenTrades()
        if not seen.add(exchange, seq):
            return True
        self._changed[f"seen|{start}"] = None
        return False

    def _pane_of(self, ts: int, price: float) -> Pane | None:
        width = self._pane_us
        if width is None:
            raise Rejected(
                f"feature set {self.feature_set.name!r} expects bars, got a trade of {self.symbol}"
            )
        start = ts - ts % width
        if start + width <= self._misc.closed_through:
            return None
        pane = self._open.get(start)
        if pane is None:
            pane = self._open[start] = Pane.of_interval(start, start + width, price)
        self._current = pane
        return pane

    def apply_bar(
        self,
        start: int,
        end: int,
        open: float,
        high: float,
        low: float,
        close: float,
        volume: float,
        *,
        adj_close: float | None = None,
        vwap: float | None = None,
        n_trades: int | None = None,
    ) -> Pane | None:
        """Close the interval (start, end] by its bar; None, nothing changed, where it is closed.

        Trades applied to the interval before give way to the bar.
        """
        if end <= self._misc.closed_through:
            return None
        for at in [at for at, pane in self._open.items() if pane.end <= end]:
            del self._open[at]
            self._changed[f"open|{at}"] = None
        self._current = None
        self._misc.last_price = close
        pane = of_bar(start, end, open, high, low, close, volume, adj_close, vwap, n_trades)
        pane = self._store(pane)
        self._passed(end)
        return pane

    def next_close(self) -> int | None:
        """End of the oldest open pane."""
        return min((pane.end for pane in self._open.values()), default=None)

    def close_through(self, end: int) -> list[Pane]:
        """Close every open pane with pane.end <= end, in time order."""
        closed = [
            self._store(self._open.pop(start))
            for start in sorted(at for at, pane in self._open.items() if pane.end <= end)
        ]
        for pane in closed:
            self._changed[f"open|{pane.start}"] = None
        if self._current is not None and self._current.end <= end:
            self._current = None
        self._passed(end)
        return closed

    def _store(self, pane: Pane) -> Pane:
        pane = resolved(pane, self._neighbour(pane))
        self._panes.append(pane)
        self._changed[f"pane|{pane.end}"] = None
        session = self._book.add(pane)
        if session is not None:
            self._changed[f"session|{session.day}"] = None
        if self._misc.last_trade_at is None or pane.last_at > self._misc.last_trade_at:
            self._misc.last_trade_at = pane.last_at
        return pane

    def _neighbour(self, pane: Pane) -> Pane | None:
        if not self._panes.panes:
            return None
        before = self._panes.panes[-1]
        gap = self._panes.max_gap_us
        return before if gap is None or pane.start - before.end <= gap else None

    def _passed(self, end: int) -> None:
        misc = self._misc
        misc.closed_through = max(misc.closed_through, end)
        misc.newest = max(misc.newest, end)
        self._changed["misc"] = None
        for start in [at for at in self._seen if at + (self._pane_us or 0) <= end]:
            del self._seen[start]
            self._changed[f"seen|{start}"] = None
        self._prune()

    def apply_session(self, kind: str, session_day: int, at: int) -> None:
        """A clock tick of the symbol's calendar: `kind` open or close, the session's date ordinal.

        A repeated one, or one of an older session, changes nothing.
        """
        self._misc.newest = max(self._misc.newest, at)
        self._changed["misc"] = None
        if kind == "open":
            n_before = len(self._book.sessions)
            dropped = self._book.open(session_day, at)
            if len(self._book.sessions) + len(dropped) > n_before:
                self._changed[f"session|{session_day}"] = None
            for session in dropped:
                self._changed[f"session|{session.day}"] = None
        else:
            closed = self._book.close(session_day, at)
            self._misc.early_close = self._book.early_close
            if closed is not None:
                self._changed[f"session|{closed.day}"] = None
        self._prune()

    # -- news and actions ----------------------------------------------------------------------

    def apply_news(self, item: NewsItem) -> NewsChange:
        """Add, replace or remove a news item.

        A higher revision replaces the known one from its own available_at on, a retraction removes
        it; an equal or lower revision, or one older than the longest window, is ignored. News never
        moves time.
        """
        horizon = self._misc.newest - self.feature_set.news_window.us
        known = self._news.newest_revision(item.article_id)
        if item.revision <= known or item.available_at <= horizon:
            return NewsChange.IGNORED
        self._news.add(item)
        self._changed[f"news|{item.article_id}"] = None
        if item.status == "retracted":
            return NewsChange.REMOVED
        return NewsChange.REPLACED if known else NewsChange.ADDED

    def apply_split(self, ex_at: int, ratio: float) -> None:
        """`ratio` new shares per old from `ex_at` on; panes that end by then are adjusted."""
        self._know(Action(ex_at, "split", ratio))

    def apply_dividend(self, ex_at: int, amount: float) -> None:
        """`amount` per share off from `ex_at` on; panes that end by then are adjusted."""
        self._know(Action(ex_at, "dividend", amount))

    def _know(self, action: Action) -> None:
        """A second action of one kind and moment replaces the first."""
        key = (action.ex_at, action.kind)
        others = [known for known in self._actions if (known.ex_at, known.kind) != key]
        self._take_actions([*others, action])
        self._changed[_action_slot(action)] = None

    def _take_actions(self, actions: list[Action]) -> None:
        self._actions = sorted(actions)
        self._panes.know(self._actions)
        self._book.done.know(self._actions)

    # -- what is known at a cut ----------------------------------------------------------------

    def vector(self, cut: int, *, include_open: bool) -> tuple[float | None, ...]:
        """The feature set's values at `cut`; None is missing, zero is a value.

        From panes with end <= cut (with `include_open` also the open ones as applied so far),
        sessions as known at `cut`, news with available_at <= cut, actions with ex_at <= cut.
        """
        panes, book = self._panes, self._book
        panes.adjust_for(cut)
        book.done.adjust_for(cut)
        high = bisect_right(panes.ends, cut)
        live: list[Pane] = []
        if include_open and high == len(panes):
            for start in sorted(self._open):
                if start <= cut:
                    pane = resolved(self._open[start], self._neighbour(self._open[start]))
                    panes.append(pane)
                    live.append(pane)
        session, session_pane = self._session_at(cut, live)
        n_done = bisect_right(book.done_at, cut)
        whole = (
            session is not None
            and session is book.sessions[-1]
            and session.close_at is not None
            and session.close_at <= cut
            and session_pane is not None
        )
        if whole and session_pane is not None:
            book.done.append(session_pane)
            n_done += 1
        news, news_high = self._news.columns(cut)
        try:
            return self.feature_set.compute(
                View(
                    cut,
                    panes,
                    high + len(live),
                    book,
                    session,
                    session_pane,
                    n_done,
                    news,
                    news_high,
                )
            )
        finally:
            for _ in live:
                panes.pop()
            if whole:
                book.done.pop()

    def _session_at(self, cut: int, live: list[Pane]) -> tuple[Session | None, Pane | None]:
        """The newest session opened by the cut and its trades so far.

        For a cut before the newest closed pane the trades are merged again, from those panes of
        the session that are still kept.
        """
        session = self._book.at(cut)
        if session is None:
            return None, None
        pane = session.pane
        if pane is not None and pane.end > cut:
            pane = None
            for each in self._panes.panes:
                if each.end <= cut and session.holds(each):
                    pane = merged(pane, each)
        for each in live:
            if session.holds(each):
                pane = merged(pane, each)
        return session, pane

    def evidence(self, cut: int) -> tuple[str, ...]:
        """Ids of the news of the feature set's evidence window, newest first, at most 20."""
        columns, high = self._news.columns(cut)
        after = cut - self.feature_set.evidence_window.us
        low = max(bisect_right(columns.times, after, 0, high), high - MAX_EVIDENCE)
        return tuple(reversed(columns.ids[low:high]))

    def last_tick_at(self, cut: int) -> int | None:
        """Time of the newest trade (of a bar: its end) at or before `cut`."""
        times = [pane.last_at for pane in self._open.values() if pane.last_at <= cut]
        high = bisect_right(self._panes.ends, cut)
        if high:
            times.append(self._panes.panes[high - 1].last_at)
        elif self._misc.last_trade_at is not None and self._misc.last_trade_at <= cut:
            times.append(self._misc.last_trade_at)
        return max(times, default=None)

    def last_news_at(self, cut: int) -> int | None:
        """available_at of the newest item at `cut` inside the longest news window."""
        columns, high = self._news.columns(cut)
        if not high or columns.times[high - 1] <= cut - self.feature_set.news_window.us:
            return None
        return columns.times[high - 1]

    def last_price(self) -> float | None:
        """The price applied last, as traded."""
        return self._misc.last_price

    def warm(self, cut: int) -> bool:
        """Whether the feature set's warm-up panes stand inside its longest pane window."""
        ends, window = self._panes.ends, self.feature_set.pane_window_us
        low = 0 if window is None else bisect_right(ends, cut - window)
        return bisect_right(ends, cut) - low >= self.feature_set.warmup_panes

    def models_in_window(self, cut: int) -> dict[str, int]:
        """Items by sentiment model, in the longest news window."""
        return self._news.models(cut - self.feature_set.news_window.us, cut)

    # -- checkpoints ---------------------------------------------------------------------------

    def take_changes(self) -> Iterator[tuple[str, bytes | None]]:
        """Slots changed since the last call; None for those that are gone."""
        if self._traded:
            for start in sorted(self._open):
                self._changed[f"open|{start}"] = None
            self._changed["misc"] = None
            self._traded = False
        changed, self._changed = self._changed, {}
        for slot in changed:
            value = self._slot_value(slot)
            yield slot, None if value is None else _encode(value)

    def _slot_value(self, slot: str) -> object:
        kind, _, key = slot.partition("|")
        if kind == "misc":
            return self._misc
        if kind == "open":
            return self._open.get(int(key))
        if kind == "seen":
            return self._seen.get(int(key))
        if kind == "pane":
            index = bisect_left(self._panes.ends, int(key))
            found = index < len(self._panes) and self._panes.ends[index] == int(key)
            return self._panes.panes[index] if found else None
        if kind == "session":
            return next((s for s in reversed(self._book.sessions) if s.day == int(key)), None)
        if kind == "news":
            return self._news.revisions.get(key)
        return next((action for action in self._actions if _action_slot(action) == slot), None)

    def restore(self, slots: Mapping[str, bytes]) -> None:
        """Take the state of a checkpoint, into a new object; later vectors are bit-equal."""
        panes, sessions, actions = [], [], []
        news: dict[str, list[NewsItem]] = {}
        for slot, raw in slots.items():
            kind, _, key = slot.partition("|")
            if kind == "misc":
                self._misc = msgspec.json.decode(raw, type=Misc)
            elif kind == "open":
                self._open[int(key)] = msgspec.json.decode(raw, type=Pane)
            elif kind == "seen":
                self._seen[int(key)] = msgspec.json.decode(raw, type=SeenTrades)
            elif kind == "pane":
                panes.append(msgspec.json.decode(raw, type=Pane))
            elif kind == "session":
                sessions.append(msgspec.json.decode(raw, type=Session))
            elif kind == "news":
                news[key] = msgspec.json.decode(raw, type=list[NewsItem])
            elif kind == "action":
                actions.append(msgspec.json.decode(raw, type=Action))
            else:
                raise Refused(
                    f"slot {slot!r}: expected pane, open, seen, session, news, action or misc"
                )
        for pane in sorted(panes, key=lambda pane: pane.end):
            self._panes.append(pane)
        self._book.restore(sessions)
        self._book.early_close = self._misc.early_close
        self._news.restore(news)
        self._take_actions(actions)

    def _prune(self) -> None:
        """Forget what no window reaches any more."""
        window, newest = self.feature_set.pane_window_us, self._misc.newest
        ends = self._panes.ends
        n = 0
        if window is not None:
            oldest = newest - window - MAX_GAP_US - SLACK_US
            if ends and ends[0] <= oldest:
                n = bisect_right(ends, oldest)
        elif self.feature_set.panes_kept is not None:
            n = max(0, len(ends) - self.feature_set.panes_kept - SLACK_PANES)
        if n:
            for pane in self._panes.drop_first(n):
                self._changed[f"pane|{pane.end}"] = None
        for article_id in self._news.forget(newest - self.feature_set.news_window.us - SLACK_US):
            self._changed[f"news|{article_id}"] = None
        if self._actions:
            self._prune_actions()

    def _prune_actions(self) -> None:
        firsts = [pane for series in (self._panes, self._book.done) for pane in series.panes[:1]]
        firsts += [session.pane for session in self._book.sessions[-1:] if session.pane is not None]
        if not firsts:
            return
        oldest = min(pane.end for pane in firsts)
        gone = [action for action in self._actions if action.ex_at < oldest]
        if gone:
            for action in gone:
                self._changed[_action_slot(action)] = None
            self._take_actions([action for action in self._actions if action.ex_at >= oldest])


def _action_slot(action: Action) -> str:
    return f"action|{action.ex_at}|{action.kind}"
