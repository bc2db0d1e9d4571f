"""Trading sessions of one symbol: their times from clock ticks, their summaries from its panes.

A pane belongs to the session that holds it whole; panes outside sessions belong to none. A session
is done at a cut once its close is at or before it (or, without a close tick, the next open is).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

from msgspec import Struct

from stream.features.panes import Pane, merged
from stream.features.series import Series


class Session(Struct, array_like=True):
    """One session. `day` is a date's ordinal, times are microseconds, `pane` its trades so far."""

    day: int
    open_at: int
    close_at: int | None = None
    pane: Pane | None = None

    def holds(self, pane: Pane) -> bool:
        """Whether the pane lies inside as far as the session's times are known."""
        return pane.start >= self.open_at and (self.close_at is None or pane.end <= self.close_at)


class SessionBook:
    """The newest `keep` sessions, oldest first; `done` is a series of the summaries of all but the
    newest one."""

    def __init__(self, keep: int) -> None:
        self.keep = keep
        self.sessions: list[Session] = []
        self.opens: list[int] = []
        self.done = Series(max_gap_us=None)
        self.done_at: list[int] = []  # parallel to `done`
        self.early_close: tuple[int, int] | None = None  # (day, at) of a close without its open

    def open(self, day: int, at: int) -> list[Session]:
        """A session opens; returns sessions that this pushed out. An older day changes nothing."""
        if self.sessions and (day <= self.sessions[-1].day or at <= self.opens[-1]):
            return []
        if self.sessions:
            self._finish(self.sessions[-1], at)
        session = Session(day, at)
        if self.early_close is not None and self.early_close[0] == day and at < self.early_close[1]:
            session.close_at = self.early_close[1]
        self.sessions.append(session)
        self.opens.append(at)
        return self._prune()

    def close(self, day: int, at: int) -> Session | None:
        """The newest session closes; returns it, or None where that changes nothing."""
        if not self.sessions or self.sessions[-1].day < day:
            self.early_close = (day, at)
            return None
        session = self.sessions[-1]
        if session.day != day or session.close_at is not None or at <= session.open_at:
            return None
        session.close_at = at
        return session

    def add(self, pane: Pane) -> Session | None:
        """Count a closed pane in its session and return that; panes come in time order."""
        index = bisect_right(self.opens, pane.start) - 1
        if index < len(self.sessions) - 2 or index < 0 or not self.sessions[index].holds(pane):
            return None
        session = self.sessions[index]
        counted = session.pane is not None
        session.pane = merged(session.pane, pane)
        if index == len(self.sessions) - 2:  # the next one is open already
            if counted:
                self.done.pop()
                self.done_at.pop()
            self._finish(session, self.opens[-1])
        return session

    def at(self, cut: int) -> Session | None:
        """The newest session that has opened by `cut`."""
        index = bisect_right(self.opens, cut) - 1
        return self.sessions[index] if index >= 0 else None

    def count_outside(self, times: list[int], cut: int) -> tuple[int, int]:
        """Of the sorted `times`, all <= cut: how many came outside sessions, of how many that came
        since the first known open. A session ends at its close if that is at or before the cut."""
        known = len(times) - bisect_left(times, self.opens[0]) if self.opens else 0
        if not known:
            return 0, 0
        inside = 0
        first = max(0, bisect_right(self.opens, times[0]) - 1)
        for index in range(first, bisect_right(self.opens, times[-1])):
            session = self.sessions[index]
            until = self.opens[index + 1] if index + 1 < len(self.opens) else cut + 1
            if session.close_at is not None and session.close_at <= cut:
                until = min(until, session.close_at)
            inside += bisect_left(times, until) - bisect_left(times, session.open_at)
        return known - inside, known

    def restore(self, sessions: Iterable[Session]) -> None:
        """Take sessions of a checkpoint."""
        self.sessions = sorted(sessions, key=lambda session: session.day)
        self.opens = [session.open_at for session in self.sessions]
        for session, following in zip(self.sessions, self.opens[1:], strict=False):
            self._finish(session, following)

    def _finish(self, session: Session, next_open: int) -> None:
        if session.pane is not None:
            self.done.append(session.pane)
            self.done_at.append(next_open if session.close_at is None else session.close_at)

    def _prune(self) -> list[Session]:
        n = len(self.sessions) - self.keep
        if n <= 0:
            return []
        out = self.sessions[:n]
        del self.sessions[:n], self.opens[:n]
        n_done = sum(session.pane is not None for session in out)
        self.done.drop_first(n_done)
        del self.done_at[:n_done]
        return out
