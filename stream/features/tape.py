"""One symbol's tape: its trades or bars in panes, its panes in sessions.

A pane closes by time or by a bar for its interval; a closed one never changes.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from stream.features.open_panes import Misc, OpenPanes
from stream.features.panes import HOUR_US, MAX_GAP_US, Pane, merged, resolved
from stream.features.series import Series
from stream.features.sessions import Session, SessionBook
from stream.features.vector import FeatureSet

SLACK_US = HOUR_US  # how far before the newest event a cut may lie
_SLACK_PANES = 5  # where panes are kept by count


class Taken(NamedTuple):
    """What the tape knows at a cut: `closed.panes[:high]`, the session and its trades so far."""

    high: int
    session: Session | None
    session_pane: Pane | None
    n_done: int
    n_live: int  # open panes among `closed`
    whole: bool  # whether the newest session is among `book.done`


class Tape:
    """Panes and sessions of one symbol; `changed` collects the checkpoint's slots that changed."""

    def __init__(self, feature_set: FeatureSet, changed: dict[str, None]) -> None:
        self.open = OpenPanes(feature_set, changed)
        self.closed = Series(None if feature_set.pane_us is None else MAX_GAP_US)
        self.book = SessionBook(feature_set.sessions_kept)
        self._feature_set = feature_set
        self._changed = changed

    @property
    def misc(self) -> Misc:
        """What no other slot holds."""
        return self.open.misc

    def apply_bar(self, bar: Pane) -> Pane | None:
        """Close the bar's interval by it; None, with nothing changed, where that is closed.

        Trades applied to the interval before give way to the bar.
        """
        if bar.end <= self.misc.closed_through:
            return None
        self.open.take_through(bar.end)
        self.misc.last_price = bar.close
        pane = self._store(bar)
        self._passed(bar.end)
        return pane

    def close_through(self, end: int) -> list[Pane]:
        """Close every open pane with pane.end <= end, in time order."""
        closed = [self._store(pane) for pane in self.open.take_through(end)]
        self._passed(end)
        return closed

    def _store(self, pane: Pane) -> Pane:
        pane = resolved(pane, self._neighbour(pane))
        self.closed.append(pane)
        self._changed[f"pane|{pane.end}"] = None
        session = self.book.add(pane)
        if session is not None:
            self._changed[f"session|{session.day}"] = None
        if self.misc.last_trade_at is None or pane.last_at > self.misc.last_trade_at:
            self.misc.last_trade_at = pane.last_at
        return pane

    def _neighbour(self, pane: Pane) -> Pane | None:
        if not self.closed.panes:
            return None
        before = self.closed.panes[-1]
        gap = self.closed.max_gap_us
        return before if gap is None or pane.start - before.end <= gap else None

    def _passed(self, end: int) -> None:
        self.misc.closed_through = max(self.misc.closed_through, end)
        self.misc.newest = max(self.misc.newest, end)
        self._changed["misc"] = None

    def apply_session(self, kind: str, session_day: int, at: int) -> None:
        """A clock tick of the symbol's calendar: `kind` open or close, the session's date ordinal.

        A repeated one, or one of an older session, changes nothing.
        """
        self.misc.newest = max(self.misc.newest, at)
        self._changed["misc"] = None
        if kind == "open":
            n_before = len(self.book.sessions)
            dropped = self.book.open(session_day, at)
            if len(self.book.sessions) + len(dropped) > n_before:
                self._changed[f"session|{session_day}"] = None
            for session in dropped:
                self._changed[f"session|{session.day}"] = None
        else:
            closed = self.book.close(session_day, at)
            self.misc.early_close = self.book.early_close
            if closed is not None:
                self._changed[f"session|{closed.day}"] = None

    def take(self, cut: int, *, include_open: bool) -> Taken:
        """What is known at `cut`, in `closed` and `book.done` until it is given back.

        From panes with end <= cut; with `include_open` also the open ones as applied so far.
        """
        panes, book = self.closed, self.book
        panes.adjust_for(cut)
        book.done.adjust_for(cut)
        high = bisect_right(panes.ends, cut)
        live: list[Pane] = []
        if include_open and high == len(panes):
            for start in sorted(self.open.panes):
                if start <= cut:
                    pane = self.open.panes[start]
                    pane = resolved(pane, self._neighbour(pane))
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
        return Taken(high + len(live), session, session_pane, n_done, len(live), whole)

    def give_back(self, taken: Taken) -> None:
        """Only closed panes and done sessions are left."""
        for _ in range(taken.n_live):
            self.closed.pop()
        if taken.whole:
            self.book.done.pop()

    def _session_at(self, cut: int, live: list[Pane]) -> tuple[Session | None, Pane | None]:
        """The newest session opened by the cut and its trades so far.

        For a cut before the newest closed pane the trades are merged again, from those panes of
        the session that are still kept.
        """
        session = self.book.at(cut)
        if session is None:
            return None, None
        pane = session.pane
        if pane is not None and pane.end > cut:
            pane = None
            for each in self.closed.panes:
                if each.end <= cut and session.holds(each):
                    pane = merged(pane, each)
        for each in live:
            if session.holds(each):
                pane = merged(pane, each)
        return session, pane

    def last_at(self, cut: int, *, include_open: bool) -> int | None:
        """Time of the newest trade (of a bar: its end) at or before `cut`.

        Of panes with end <= cut; with `include_open` also of those still open.
        """
        still_open = self.open.panes.values() if include_open else ()
        times = [pane.last_at for pane in still_open if pane.last_at <= cut]
        high = bisect_right(self.closed.ends, cut)
        if high:
            times.append(self.closed.panes[high - 1].last_at)
        elif self.misc.last_trade_at is not None and self.misc.last_trade_at <= cut:
            times.append(self.misc.last_trade_at)
        return max(times, default=None)

    def prune(self) -> None:
        """Forget the panes that no window reaches any more."""
        window, ends = self._feature_set.pane_window_us, self.closed.ends
        n = 0
        if window is not None:
            oldest = self.misc.newest - window - MAX_GAP_US - SLACK_US
            if ends and ends[0] <= oldest:
                n = bisect_right(ends, oldest)
        elif self._feature_set.panes_kept is not None:
            n = max(0, len(ends) - self._feature_set.panes_kept - _SLACK_PANES)
        if n:
            for pane in self.closed.drop_first(n):
                self._changed[f"pane|{pane.end}"] = None

    def slot_value(self, kind: str, key: str) -> object:
        """What a slot holds now; None where it is gone."""
        if kind == "misc":
            return self.misc
        if kind in ("open", "seen"):
            return self.open.slot_value(kind, int(key))
        if kind == "session":
            return next((s for s in reversed(self.book.sessions) if s.day == int(key)), None)
        index = bisect_left(self.closed.ends, int(key))
        found = index < len(self.closed) and self.closed.ends[index] == int(key)
        return self.closed.panes[index] if found else None

    def restore(self, slots: Mapping[str, Mapping[str, bytes]]) -> None:
        """Take a checkpoint's slots, by kind and key."""
        self.open.restore(slots)
        panes = [msgspec.json.decode(raw, type=Pane) for raw in slots["pane"].values()]
        for pane in sorted(panes, key=lambda pane: pane.end):
            self.closed.append(pane)
        sessions = slots["session"].values()
        self.book.restore([msgspec.json.decode(raw, type=Session) for raw in sessions])
        self.book.early_close = self.misc.early_close
