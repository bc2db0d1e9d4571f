"""A symbol's tape out of SQL: what labels need, for a span, as a replay would collect it."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import psycopg

from stream.events import ClockTick, micros
from stream.features.panes import Pane, of_bar
from stream.features.vector import FEATURE_SETS
from training.prices import Tape
from training.tapes import SessionTimes
from training.traded import known_actions

_PANES = """
SELECT DISTINCT ON (bar_start) bar_start, bar_end, open, high, low, close, volume, adj_close, vwap,
    n_trades, notional
FROM bars
WHERE origin = %(origin)s AND symbol = %(symbol)s
    AND bar_start >= %(since)s AND bar_end <= %(until)s
ORDER BY bar_start, kafka_ts, topic_id, "partition", "offset"
"""
_MIDS = """
SELECT date_bin(%(pane)s, ts, '1970-01-01Z'), avg((bid + ask) / 2)
FROM ticks t
WHERE symbol = %(symbol)s AND ts >= %(since)s AND ts < %(until)s
    AND bid IS NOT NULL AND ask IS NOT NULL AND NOT EXISTS (
        SELECT FROM late_events l WHERE l.source_topic = 'ticks' AND l.ts = t.ts
            AND l.source_partition = t."partition" AND l.source_offset = t."offset"
    )
GROUP BY 1
"""
_SESSIONS = """
SELECT DISTINCT kind, at, calendar, session FROM clock
WHERE kind IN ('open', 'close') AND session IS NOT NULL ORDER BY at
"""
_CALENDARS = "SELECT symbol, calendar FROM latest_instruments"
_CALENDAR = "SELECT policy->>'calendar' FROM policies ORDER BY first_seen DESC LIMIT 1"


class StoredTapes:
    """The tapes of one schema; `tape` is the topic that moves its time, ticks or bars.

    The mean of a pane's mids may differ from a replay's in its last bits, by the order of its sum.
    """

    def __init__(self, connection: psycopg.Connection, tape: str) -> None:
        self.origin = "bar" if tape == "bars" else "pane"
        self._connection = connection
        self._actions = known_actions(connection)
        self._calendars: dict[str, str] = dict(connection.execute(_CALENDARS).fetchall())
        row = connection.execute(_CALENDAR).fetchone()
        self._calendar = "" if row is None else str(row[0])
        times = SessionTimes()
        for kind, at, calendar, session in connection.execute(_SESSIONS):
            times.note(ClockTick(kind=kind, at=at, calendar=calendar, session=session))
        self._sessions = times.by_calendar()

    def read(self, symbol: str, feature_set: str, since: datetime, until: datetime) -> Tape:
        """The symbol's panes that lie in the span, with all that its prices hang on."""
        given = {"origin": self.origin, "symbol": symbol, "since": since, "until": until}
        panes = [_pane(*row) for row in self._connection.execute(_PANES, given)]
        pane_us = FEATURE_SETS[feature_set].pane_us
        mids = []
        if self.origin == "pane" and pane_us is not None:
            width = {"pane": timedelta(microseconds=pane_us)}
            rows = self._connection.execute(_MIDS, {**given, **width}).fetchall()
            mid_of = {micros(start): mid for start, mid in rows}
            mids = [mid_of.get(pane.start, np.nan) for pane in panes]
        calendar = self._calendars.get(symbol, self._calendar)
        actions = self._actions.get(symbol, ())
        return Tape(panes, actions, mids, self._sessions.get(calendar))


def _pane(
    start: datetime, end: datetime, open: float, high: float, low: float, close: float,
    volume: float, adj_close: float | None, vwap: float | None, n_trades: int | None,
    notional: float | None,
) -> Pane:  # fmt: skip
    prices = open, high, low, close
    if notional is None:
        return of_bar(micros(start), micros(end), *prices, volume, adj_close, vwap, n_trades)
    return Pane(micros(start), micros(end), *prices, volume, notional, n_trades or 0)
