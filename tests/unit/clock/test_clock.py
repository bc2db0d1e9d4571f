"""Sessions, and the ticks that two clocks repeat rather than disagree on."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime

import pytest

from stream.clock.agent import due
from stream.clock.calendar import session_ticks, sessions, ticks_between, ticks_in_force
from stream.errors import Refused
from stream.events import micros


def us(*parts: int) -> int:
    return micros(datetime(*parts, tzinfo=UTC))  # type: ignore[arg-type]


def test_sessions_skip_holidays_and_close_early_on_half_days() -> None:
    found = sessions("XNYS", date(2013, 11, 27), date(2013, 11, 29))
    assert [s.day for s in found] == [date(2013, 11, 27), date(2013, 11, 29)]
    assert found[0].close == us(2013, 11, 27, 21)
    assert found[1].close == us(2013, 11, 29, 18)


def test_a_market_that_never_closes_has_a_session_a_day() -> None:
    found = sessions("24/7", date(2024, 2, 28), date(2024, 3, 1))
    assert [s.day.day for s in found] == [28, 29, 1]
    assert all(b.open == a.close for a, b in itertools.pairwise(found))


def test_an_unknown_calendar_is_refused_by_name() -> None:
    with pytest.raises(Refused, match="got 'XXXX'"):
        sessions("XXXX", date(2024, 1, 1), date(2024, 1, 2))


def test_decision_comes_before_close() -> None:
    session = sessions("XNYS", date(2024, 3, 5), date(2024, 3, 5))[0]
    opened, decided, closed = session_ticks("XNYS", session)
    assert opened.at < decided.at < closed.at
    assert {t.session for t in (opened, decided, closed)} == {date(2024, 3, 5)}


def test_ticks_between_excludes_its_start_and_includes_its_end() -> None:
    close = us(2024, 3, 5, 21)
    assert [t.kind for t in ticks_between("XNYS", close - 1, close)] == ["close"]
    assert list(ticks_between("XNYS", close, close + 1)) == []


def test_beats_stand_on_a_grid_whoever_states_them() -> None:
    start = us(2024, 3, 2, 12)
    one = due(start, start + 60_000_000, ["XNYS"])
    other = due(start + 3_000_000, start + 60_000_000, ["XNYS"])
    assert [t.at for t in one] == [t.at for t in other]
    assert len(one) == 6


def test_due_in_two_steps_is_due_in_one() -> None:
    start, end = us(2024, 3, 5, 14), us(2024, 3, 5, 15)
    middle = start + 1_234_567_890
    whole = due(start, end, ["XNYS"])
    assert due(start, middle, ["XNYS"]) + due(middle, end, ["XNYS"]) == whole
    assert [t.kind for t in whole if t.kind != "beat"] == ["open"]


def test_a_calendar_just_met_is_told_its_two_newest_sessions() -> None:
    monday_noon = us(2024, 3, 4, 17)
    told = ticks_in_force("XNYS", monday_noon)
    assert [(t.kind, t.session) for t in told] == [
        ("open", date(2024, 3, 1)),
        ("decision", date(2024, 3, 1)),
        ("close", date(2024, 3, 1)),
        ("open", date(2024, 3, 4)),
    ]
    assert all(micros(t.at) <= monday_noon for t in told)
