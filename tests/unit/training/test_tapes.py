"""What replay keeps for the labels: sessions as stated, quotes by pane, calendars by symbol."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from stream.events import ClockTick, Instrument, micros
from stream.features.panes import Pane
from tests.factories import NOON, at, policy, tick
from training.prices import NEVER
from training.tapes import SessionTimes, Tapes

MINUTE = 60_000_000
FIRST = date(2024, 3, 4)


def stated(kind, day, hour, calendar="XNYS"):
    session = FIRST + timedelta(days=day)
    when = datetime(session.year, session.month, session.day, tzinfo=UTC) + timedelta(hours=hour)
    return ClockTick(kind=kind, at=when, calendar=calendar, session=session)


def sessions_of(*ticks, calendar="XNYS"):
    times = SessionTimes()
    for each in ticks:
        times.note(each)
    return times.by_calendar()[calendar]


def hours(us):
    """From the first midnight on."""
    return [
        None if each >= NEVER else (each - micros(datetime(2024, 3, 4, tzinfo=UTC))) / 3.6e9
        for each in us.tolist()
    ]


def test_sessions_are_those_stated_once_however_often_they_were():
    ticks = [stated("open", 0, 14), stated("close", 0, 21), stated("open", 1, 14)]
    found = sessions_of(*ticks, *ticks, stated("decision", 1, 20))
    assert hours(found.opens) == [14, 24 + 14]
    assert hours(found.closes) == hours(found.ends) == [21, None]


def test_sessions_round_the_clock_end_with_the_last():
    ticks = [stated(kind, day, hour, "24/7")
             for day in range(3) for kind, hour in (("open", 0), ("close", 24))]  # fmt: skip
    found = sessions_of(*ticks, calendar="24/7")
    assert hours(found.closes) == [24, 48, 72]
    assert hours(found.ends) == [72, 72, 72]


def test_session_without_a_close_ends_when_the_next_one_opens():
    found = sessions_of(stated("open", 0, 14), stated("open", 1, 14), stated("close", 1, 21))
    assert hours(found.ends) == [24 + 14, 24 + 21]


def test_moments_lie_in_the_session_that_holds_them():
    found = sessions_of(stated("open", 0, 14), stated("close", 0, 21), stated("open", 1, 14))
    day = micros(datetime(2024, 3, 4, tzinfo=UTC))
    times = np.array([day, found.opens[0], found.closes[0] - 1, found.closes[0], found.opens[1]])
    assert found.at(times).tolist() == [-1, 0, 0, -1, 1]


def test_mids_are_means_by_pane_and_missing_where_no_quote_came():
    tapes, start = Tapes(policy()), micros(NOON)
    tapes.note(tick(seconds=1, bid=99.0, ask=101.0))
    tapes.note(tick(seconds=59, bid=102.0, ask=102.0))
    tapes.note(tick(seconds=61))
    tapes.note(tick(seconds=130, bid=7.0, ask=9.0))
    for minute in range(3):
        begin = start + minute * MINUTE
        tapes.close("AAPL", Pane.of_interval(begin, begin + MINUTE, 100.0))
    tape = tapes.by_symbol()["AAPL"]
    assert list(tape.mids) == pytest.approx([101.0, np.nan, 8.0], nan_ok=True)


def test_sessions_are_those_of_the_symbols_own_calendar():
    tapes = Tapes(policy(calendar="XNYS"))
    tapes.note(Instrument(symbol="BTC", calendar="24/7"))
    for each in (stated("open", 0, 14), stated("open", 0, 0, "24/7")):
        tapes.note(each)
    for symbol in ("BTC", "AAPL"):
        tapes.close(symbol, Pane.of_interval(micros(at()), micros(at(60)), 1.0))
    found = tapes.by_symbol()
    assert hours(found["BTC"].sessions.opens) == [0]
    assert hours(found["AAPL"].sessions.opens) == [14]
