"""What labels need of each symbol, collected while its events replay."""

from __future__ import annotations

from array import array
from collections import defaultdict
from datetime import date

import msgspec
import numpy as np

from stream.days import midnight
from stream.events import ClockTick, CorporateAction, Instrument, Tick, micros
from stream.features.adjust import Action
from stream.features.panes import Pane
from stream.scoring.policy import Policy
from training.prices import NEVER, Sessions, Tape


class Tapes:
    """Collects the tapes of all symbols."""

    def __init__(self, policy: Policy) -> None:
        self._pane_us = policy.features.pane_us
        self._calendar = policy.calendar
        self._calendars: dict[str, str] = {}
        self._panes: defaultdict[str, list[Pane]] = defaultdict(list)
        self._actions: defaultdict[str, dict[tuple[int, str], Action]] = defaultdict(dict)
        self._open: dict[tuple[str, int], tuple[float, int]] = {}  # sum and count of mids, by pane
        self._mids: defaultdict[str, array[float]] = defaultdict(lambda: array("d"))
        self._sessions = SessionTimes()

    def close(self, symbol: str, pane: Pane) -> None:
        """Take a closed pane; those of a symbol come in time order."""
        self._panes[symbol].append(pane)
        total, n = self._open.pop((symbol, pane.start), (0.0, 0))
        self._mids[symbol].append(total / n if n else float("nan"))

    def note(self, event: msgspec.Struct) -> None:
        """Take what was applied; of most events nothing."""
        if isinstance(event, Tick):
            if event.bid is not None and event.ask is not None and self._pane_us is not None:
                ts = micros(event.ts)
                key = (event.symbol, ts - ts % self._pane_us)
                total, n = self._open.get(key, (0.0, 0))
                self._open[key] = (total + (event.bid + event.ask) / 2.0, n + 1)
        elif isinstance(event, ClockTick):
            self._sessions.note(event)
        elif isinstance(event, CorporateAction):
            ex_at = midnight(event.ex_date)
            self._actions[event.symbol][ex_at, event.kind] = Action(ex_at, event.kind, event.value)
        elif isinstance(event, Instrument):
            self._calendars[event.symbol] = event.calendar

    def by_symbol(self) -> dict[str, Tape]:
        """Each symbol's tape."""
        sessions = self._sessions.by_calendar()
        return {
            symbol: Tape(
                panes,
                list(self._actions[symbol].values()),
                self._mids[symbol],
                sessions.get(self._calendars.get(symbol, self._calendar)),
            )
            for symbol, panes in self._panes.items()
        }


class SessionTimes:
    """Collects opens and closes by calendar; the same tick again changes nothing."""

    def __init__(self) -> None:
        self._opens: defaultdict[str, dict[date, int]] = defaultdict(dict)
        self._closes: defaultdict[str, dict[date, int]] = defaultdict(dict)

    def note(self, tick: ClockTick) -> None:
        """Take an open or a close; other ticks say nothing of sessions."""
        if tick.session is not None and tick.kind in ("open", "close"):
            times = self._opens if tick.kind == "open" else self._closes
            times[tick.calendar][tick.session] = micros(tick.at)

    def by_calendar(self) -> dict[str, Sessions]:
        """Sessions of each calendar that stated an open; one without a close ends at the next."""
        return {
            calendar: _sessions(
                sorted((at, self._closes[calendar].get(day, NEVER)) for day, at in opens.items())
            )
            for calendar, opens in self._opens.items()
        }


def _sessions(stated: list[tuple[int, int]]) -> Sessions:
    opens, closes = np.array(stated, dtype=np.int64).T
    following = np.append(opens[1:], NEVER)
    last = np.flatnonzero((closes != following) | (closes == NEVER))
    closes = np.minimum(closes, following)
    return Sessions(opens, closes, closes[last[np.searchsorted(last, np.arange(len(opens)))]])
