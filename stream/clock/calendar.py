"""Session times of an exchange calendar, and the clock ticks that state them. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from stream.days import midnight
from stream.errors import Refused
from stream.events import ClockTick, micros, moment

ALWAYS_OPEN = "24/7"
DECISION_BEFORE_CLOSE_US = 15 * 60 * 1_000_000
_DAY = timedelta(days=1)


class Session(NamedTuple):
    """One trading session; times in microseconds."""

    day: date
    open: int
    close: int


def sessions(calendar: str, first: date, last: date) -> list[Session]:
    """Sessions whose day is in [first, last]. Raises Refused for an unknown calendar."""
    if calendar == ALWAYS_OPEN:
        return [_whole_day(first + _DAY * n) for n in range((last - first).days + 1)]
    exchange = _exchange(calendar, first.year - 1, last.year + 1)
    days = exchange.sessions_in_range(
        max(first, exchange.first_session.date()), min(last, exchange.last_session.date())
    )
    return [
        Session(
            day.date(),
            micros(exchange.session_open(day).to_pydatetime()),
            micros(exchange.session_close(day).to_pydatetime()),
        )
        for day in days
    ]


def session_ticks(calendar: str, session: Session) -> tuple[ClockTick, ClockTick, ClockTick]:
    """Open, decision and close of a session."""
    decision = max(session.open, session.close - DECISION_BEFORE_CLOSE_US)
    times = (("open", session.open), ("decision", decision), ("close", session.close))
    opened, decided, closed = (
        ClockTick(kind=kind, at=moment(at), calendar=calendar, session=session.day)  # type: ignore[arg-type]
        for kind, at in times
    )
    return opened, decided, closed


def ticks_between(calendar: str, after: int, until: int) -> Iterator[ClockTick]:
    """Session ticks with after < at <= until, in time order; times in microseconds."""
    first, last = moment(after).date() - _DAY, moment(until).date() + _DAY
    for session in sessions(calendar, first, last):
        for tick in session_ticks(calendar, session):
            if after < micros(tick.at) <= until:
                yield tick


def ticks_in_force(calendar: str, at: int) -> list[ClockTick]:
    """Session ticks up to `at` of the two newest sessions that have opened by then."""
    day = moment(at).date()
    opened = [s for s in sessions(calendar, day - 20 * _DAY, day + _DAY) if s.open <= at]
    ticks = [tick for session in opened[-2:] for tick in session_ticks(calendar, session)]
    return [tick for tick in ticks if micros(tick.at) <= at]


def _whole_day(day: date) -> Session:
    start = midnight(day)
    return Session(day, start, start + 86_400 * 1_000_000)


@lru_cache(maxsize=16)
def _exchange(calendar: str, first_year: int, last_year: int) -> Any:
    import exchange_calendars

    try:
        return exchange_calendars.get_calendar(
            calendar, start=f"{first_year}-01-01", end=f"{last_year}-12-31"
        )
    except exchange_calendars.errors.InvalidCalendarName:
        raise Refused(
            f"calendar: expected an exchange_calendars code such as XNYS, or {ALWAYS_OPEN}, "
            f"got {calendar!r}"
        ) from None
