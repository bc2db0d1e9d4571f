"""When a signal has an outcome, which one, and when it never will."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from stream.events import micros
from stream.features.adjust import Action
from stream.features.panes import Pane, of_bar
from training.label_rules import label_rule
from training.outcomes import Outcome, Pending, label
from training.prices import Sessions, Tape

T0 = datetime(2024, 3, 5, 15, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
INTRADAY, DAILY = label_rule("intraday"), label_rule("daily")


def pane(minute: float, price: float = 100.0) -> Pane:
    """A minute's trades, ten shares at one price."""
    start = micros(T0 + minute * MINUTE)
    return Pane(start, start + 60_000_000, price, price, price, price, 10.0, 10 * price, 1)


def session(day: float, price: float) -> Pane:
    """A bar from 15:00 to 21:00 that opens at `price`."""
    start = micros(T0 + day * DAY)
    return of_bar(start, start + 6 * 3_600_000_000, price, price, price, price, 1.0)


def pending(minutes: float = -0.5, volatility: float | None = 0.01) -> Pending:
    return Pending("AAPL", 0, "id", T0 + minutes * MINUTE, volatility)


def outcome_of(one: Pending, panes: list[Pane], newest: float) -> Outcome | None:
    """Its outcome, None where it has none yet; `newest` in minutes after T0."""
    found, n_unmatured = label([one], Tape(panes), INTRADAY, micros(T0 + newest * MINUTE))
    assert len(found) + n_unmatured == 1
    return found[0] if found else None


def test_a_signal_is_labelled_by_its_own_volatility_once_the_exit_pane_is_there() -> None:
    panes = [pane(0, 100.0), pane(30, 101.0)]
    assert outcome_of(pending(), panes[:1], newest=29) is None
    found = outcome_of(pending(), panes, newest=31)
    assert found is not None
    assert found.forward_return == pytest.approx(0.01)
    assert (found.y, found.left_out) == (2, None)
    assert (found.entry_at, found.exit_at) == (T0 + MINUTE, T0 + 31 * MINUTE)
    assert found.matured_at == found.exit_at
    wild = outcome_of(pending(volatility=0.05), panes, newest=31)
    assert wild is not None
    assert wild.y == 1


def test_without_a_volatility_there_is_a_return_and_no_class() -> None:
    found = outcome_of(pending(volatility=None), [pane(0), pane(30, 101.0)], newest=31)
    assert found is not None
    assert (found.y, found.left_out) == (None, "no volatility")
    assert found.forward_return == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("panes", "says"),
    [
        ([], "no entry"),
        ([pane(20)], "no entry"),
        ([pane(0)], "no exit"),
        ([pane(0), pane(50)], "no exit"),
    ],
)
def test_what_never_traded_is_given_up_with_the_reason(panes: list[Pane], says: str) -> None:
    found = outcome_of(pending(), panes, newest=400)
    assert found is not None
    assert (found.left_out, found.y, found.entry_at, found.matured_at) == (says, None, None, None)


@pytest.mark.parametrize("panes", [[], [pane(0)]])
def test_what_may_only_not_be_archived_yet_is_waited_for(panes: list[Pane]) -> None:
    assert outcome_of(pending(), panes, newest=39) is None


def test_a_session_is_known_at_its_end_and_splits_count() -> None:
    evening = Pending("AAPL", 0, "id", T0 + 7 * 60 * MINUTE, 0.01)
    panes = [session(0, 90.0), session(1, 100.0), session(4, 52.0)]
    split = Action(micros(T0 + 3 * DAY), "split", 2.0)
    newest = micros(T0 + 5 * DAY)
    (found,), _ = label([evening], Tape(panes, [split]), DAILY, newest)
    assert found.forward_return == pytest.approx(0.04)
    assert (found.entry_at, found.exit_at) == (T0 + DAY, T0 + 4 * DAY)
    assert found.matured_at == T0 + 4 * DAY + timedelta(hours=6)
    for n, says in ((1, "no entry"), (2, "no exit")):
        assert label([evening], Tape(panes[:n]), DAILY, newest) == ([], 1)
        (gone,), _ = label([evening], Tape(panes[:n]), DAILY, micros(T0 + 12 * DAY))
        assert gone.left_out == says


def test_a_horizon_that_crosses_the_close_is_no_outcome() -> None:
    opens, closes = (np.array([micros(T0 + m * MINUTE)]) for m in (-300, 20))
    tape = Tape([pane(0), pane(30)], sessions=Sessions(opens, closes, closes))
    (found,), _ = label([pending()], tape, INTRADAY, micros(T0 + 31 * MINUTE))
    assert (found.left_out, found.y) == ("crosses close", None)


def test_a_cheap_share_moves_by_more_than_half_a_tick_each_way_or_not_at_all() -> None:
    calm = pending(volatility=0.0)
    classes = {}
    for price in (1.0, 100.0):
        panes = [pane(-2, price), pane(0, price), pane(30, price * 1.002)]
        found = outcome_of(calm, panes, newest=31)
        assert found is not None
        classes[price] = found.y
    assert classes == {1.0: 1, 100.0: 2}
