"""Which days count, and what a promotion asks for."""

from __future__ import annotations

from datetime import date, timedelta

import msgspec
import pytest

from training.compare import Day, Judgement, matured_days, missing

GOOD = Judgement(
    champion="a", challenger="b", days=20, rows=900, days_waiting=1, alpha=0.025,
    overlap_days=1, better=0.02, low=0.001, high=0.04, days_to_go=0, return_bps=-0.9,
    missing=(),
)  # fmt: skip


def day(i: int, n: int = 5, pending: int = 0) -> Day:
    return Day(date(2024, 3, 1) + timedelta(days=i), n, pending, 0.1 if n else None, 0.2)


def test_the_newest_day_and_all_from_one_that_waits_do_not_count() -> None:
    days = [day(0), day(1, n=0), day(2), day(3, pending=1), day(4), day(5)]
    assert matured_days(days) == [day(0), day(2)]
    assert matured_days([*days[:3], day(3), *days[4:]]) == [day(0), day(2), day(3), day(4)]
    assert matured_days([]) == matured_days([day(0)]) == []


def test_nothing_is_missing_at_the_limits() -> None:
    assert missing(GOOD) == ()
    assert missing(msgspec.structs.replace(GOOD, return_bps=-1.0)) == ()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"days": 19}, "matured days: expected at least 20, got 19"),
        ({"low": 0.0}, "lower bound of the log-loss difference: expected over 0, got 0"),
        ({"low": None}, "lower bound of the log-loss difference: expected over 0, got none"),
        ({"return_bps": -1.01}, "return a day after costs: expected at least -1 bp, got -1.01"),
        ({"return_bps": None}, "return a day after costs: expected at least -1 bp, got none"),
    ],
)
def test_what_is_missing_is_said_with_what_was_found(change: dict[str, float], says: str) -> None:
    assert missing(msgspec.structs.replace(GOOD, **change)) == (says,)
