"""Labels against a naive walk over the panes, and each reason for having none.

as_of          entry [==]            exit [==]
  |-- start >= as_of -|---- horizon ----|
"""

import random

import numpy as np
import pytest

from stream.features.adjust import Action
from stream.features.panes import MINUTE_US, Pane, of_bar
from training.labels import LABEL_RULES, Left, classes, forward_returns

INTRADAY, DAILY = LABEL_RULES["intraday"], LABEL_RULES["daily"]
DAY = 86_400_000_000


def make_pane(minute, price=10.0, vwap=None, volume=100.0):
    start = minute * MINUTE_US
    pane = Pane.of_interval(start, start + MINUTE_US, price)
    pane.volume = volume
    pane.notional = (price if vwap is None else vwap) * volume
    return pane


def make_day(day, open_, close=None, adj_close=None):
    start = day * DAY + 14 * 3_600_000_000
    close = open_ if close is None else close
    high, low = max(open_, close), min(open_, close)
    end = start + 7 * 3_600_000_000
    return of_bar(start, end, open_, high, low, close, 1e6, adj_close, None, None)


def naive(as_of, panes, rule, until):
    """(entry pane, exit pane) or the reason, by walking."""
    entry = next((pane for pane in panes if pane.start >= as_of), None)
    if entry is None:
        wait = rule.max_wait_us or rule.horizon_us
        return Left.UNMATURED if as_of + wait > until else Left.NO_ENTRY
    if rule.max_wait_us is not None and entry.start - as_of > rule.max_wait_us:
        return Left.NO_ENTRY
    if rule.sessions is not None:
        later = panes[panes.index(entry) + rule.sessions :]
        return (entry, later[0]) if later else Left.UNMATURED
    target = entry.start + rule.horizon_us
    out = next((pane for pane in panes if pane.start >= target), None)
    if out is None:
        return Left.UNMATURED if target + rule.max_wait_us > until else Left.NO_EXIT
    return Left.NO_EXIT if out.start - target > rule.max_wait_us else (entry, out)


@pytest.mark.parametrize("seed", range(8))
def test_intraday_labels_equal_a_naive_walk(seed):
    draw = random.Random(seed)
    minutes = sorted(draw.sample(range(400), draw.choice([3, 60, 200, 390])))
    panes = [make_pane(m, draw.uniform(9, 11), draw.uniform(9, 11)) for m in minutes]
    until = (minutes[-1] + draw.randrange(60)) * MINUTE_US
    as_of = [draw.randrange(410 * MINUTE_US) for _ in range(200)] + [m * MINUTE_US for m in minutes]
    labels = forward_returns(as_of, panes, [], INTRADAY, until)
    for i, at in enumerate(as_of):
        expected = naive(at, panes, INTRADAY, until)
        if isinstance(expected, Left):
            assert labels.left[i] == expected
            continue
        entry, out = expected
        assert labels.left[i] == Left.LABELLED
        assert (labels.entry_us[i], labels.exit_us[i]) == (entry.end, out.end)
        vwaps = [pane.notional / pane.volume for pane in (entry, out)]
        assert labels.forward_return[i] == vwaps[1] / vwaps[0] - 1.0


@pytest.mark.parametrize("seed", range(4))
def test_daily_labels_equal_a_naive_walk(seed):
    draw = random.Random(seed)
    days = sorted(draw.sample(range(40), 25))
    panes = [make_day(day, draw.uniform(9, 11)) for day in days]
    until = panes[-1].end
    as_of = [draw.randrange(41 * DAY) for _ in range(100)] + [pane.start for pane in panes]
    labels = forward_returns(as_of, panes, [], DAILY, until)
    for i, at in enumerate(as_of):
        expected = naive(at, panes, DAILY, until)
        if isinstance(expected, Left):
            assert labels.left[i] == expected
            continue
        entry, out = expected
        assert (labels.entry_us[i], labels.exit_us[i]) == (entry.start, out.start)
        assert labels.forward_return[i] == out.open / entry.open - 1.0


def test_entry_is_never_before_as_of():
    panes = [make_pane(m) for m in range(100)]
    as_of = np.arange(0, 60 * MINUTE_US, 7_000_000)
    labels = forward_returns(as_of, panes, [], INTRADAY, 100 * MINUTE_US)
    assert (labels.entry_us - MINUTE_US >= as_of).all()
    assert (labels.exit_us - labels.entry_us == INTRADAY.horizon_us).all()


def test_row_at_a_panes_close_never_trades_in_that_pane():
    panes = [make_pane(0, 10.0), make_pane(1, 20.0), make_pane(2, 30.0), make_pane(32, 45.0)]
    late = 60 * 1_000_000 + 2_000_000  # the first pane's end and the lateness
    labels = forward_returns([late], panes, [], INTRADAY, 100 * MINUTE_US)
    assert labels.forward_return[0] == 45.0 / 30.0 - 1.0


def test_pane_without_volume_trades_at_its_close():
    panes = [make_pane(0, 10.0, volume=0.0), make_pane(30, 11.0, volume=0.0)]
    labels = forward_returns([0], panes, [], INTRADAY, 100 * MINUTE_US)
    assert labels.forward_return[0] == pytest.approx(0.1)


def test_symbol_without_panes_has_no_labels():
    labels = forward_returns([0, 10**12], [], [], INTRADAY, 10**12)
    assert list(labels.left) == [Left.NO_ENTRY, Left.UNMATURED]


def test_split_between_entry_and_exit_is_no_loss():
    panes = [make_day(1, 100.0), make_day(2, 50.0)]
    labels = forward_returns([0], panes, [Action(2 * DAY, "split", 2.0)], DAILY, 3 * DAY)
    assert labels.forward_return[0] == 0.0


def test_dividend_between_entry_and_exit_is_paid_on_the_shares_then_held():
    panes = [make_day(1, 100.0), make_day(2, 48.0)]
    actions = [Action(2 * DAY + 1, "dividend", 3.0), Action(2 * DAY, "split", 2.0)]
    labels = forward_returns([0], panes, actions, DAILY, 3 * DAY)
    assert labels.forward_return[0] == pytest.approx((2 * 48.0 + 2 * 3.0) / 100.0 - 1.0)


def test_split_on_a_panes_border_lies_between_it_and_the_next():
    panes = [make_pane(0, 100.0), *(make_pane(m, 50.0) for m in range(1, 40))]
    action = Action(MINUTE_US, "split", 2.0)
    labels = forward_returns([0, MINUTE_US], panes, [action], INTRADAY, 100 * MINUTE_US)
    assert list(labels.forward_return) == [0.0, 0.0]


def test_actions_outside_the_holding_change_nothing():
    panes = [make_day(1, 100.0), make_day(2, 101.0)]
    actions = [Action(DAY, "split", 2.0), Action(3 * DAY, "split", 2.0)]
    labels = forward_returns([0], panes, actions, DAILY, 3 * DAY)
    assert labels.forward_return[0] == pytest.approx(0.01)


def test_adjusted_closes_stand_in_for_actions():
    panes = [make_day(1, 100.0, 100.0, adj_close=50.0), make_day(2, 51.0, 51.0, adj_close=51.0)]
    labels = forward_returns([0], panes, [Action(2 * DAY, "split", 2.0)], DAILY, 3 * DAY)
    assert labels.forward_return[0] == pytest.approx(0.02)


def test_one_pane_without_adjusted_close_turns_to_the_actions():
    panes = [make_day(1, 100.0, 100.0, adj_close=50.0), make_day(2, 51.0)]
    labels = forward_returns([0], panes, [Action(2 * DAY, "split", 2.0)], DAILY, 3 * DAY)
    assert labels.forward_return[0] == pytest.approx(0.02)


def test_class_needs_more_than_volatility_and_cost():
    volatility = np.array([0.01, 0.01, 0.01, 0.0, 0.0])
    returns = np.array([0.0051, 0.005, -0.0051, 0.0003, -0.0001])
    assert list(classes(returns, volatility, INTRADAY)) == [2, 1, 0, 2, 1]
