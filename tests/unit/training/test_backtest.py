"""The backtest, worked by hand, and what must hold of any."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.features.panes import DAY_US, MINUTE_US
from training.backtest import (
    Orders,
    Prices,
    Rules,
    Trade,
    backtest,
    momentum,
    n_unfilled,
    sides,
    until_sessions,
)

PRICES = [100.0, 101.0, 99.0, 99.0, 104.0, 104.0]


def prices(of: list[float], every_us: int = MINUTE_US) -> Prices:
    found = np.array(of)
    return Prices(np.arange(len(of)) * every_us, found, found[1:] / found[:-1])


def orders(*of: tuple[float, float, int]) -> Orders:
    """(as_of, valid until, side), in minutes."""
    columns = np.array(of).reshape(-1, 3).T * [[MINUTE_US], [MINUTE_US], [1]]
    return Orders(*columns.astype(np.int64))


def test_a_long_and_a_short_worked_by_hand():
    of = prices(PRICES)
    # Known at 0.5, bought at pane 1 (101), over at 2.5, sold at pane 3 (99); short from 4 (104).
    told = orders((0.5, 2.5, 1), (3.2, 9.0, -1))
    held = sides(of, told, latency_us=0)
    assert held.tolist() == [0, 1, 1, 0, -1, 0]
    found = backtest({"A": of}, {"A": held}, Rules(gross=2.0, borrow_per_year=0.01))
    assert found.earned == pytest.approx([2.0 * (99 / 101 - 1)])
    assert found.turnover == pytest.approx([2.0 * (1 + 99 / 101 + 1 + 1)])
    assert found.borrow == pytest.approx([2.0 * 0.01 * MINUTE_US / (365 * DAY_US)])
    assert found.net(1e-3) == pytest.approx(found.earned - found.borrow - 1e-3 * found.turnover)
    assert found.trades == (
        Trade("A", 1, MINUTE_US, 3 * MINUTE_US, pytest.approx(99 / 101 - 1)),
        Trade("A", -1, 4 * MINUTE_US, 5 * MINUTE_US, 0.0),
    )
    assert found.exposure == pytest.approx(2.0 * 3 / 5)


def test_an_order_waits_for_its_latency_and_the_next_whole_pane():
    of = prices(PRICES)
    assert sides(of, orders((1.0, 9.0, 1)), 0).tolist() == [0, 1, 1, 1, 1, 0]
    assert sides(of, orders((1.0, 9.0, 1)), 1).tolist() == [0, 0, 1, 1, 1, 0]
    assert sides(of, orders((0.0, 9.0, 1), (2.0, 9.0, -1)), 0).tolist() == [1, 1, -1, -1, -1, 0]


def test_signals_over_before_they_can_be_traded_are_counted():
    of = prices(PRICES)
    told = orders((0.2, 0.8, 1), (0.2, 1.0, 1), (0.2, 1.1, 1), (4.5, 9.0, 1))
    assert n_unfilled(of, told, 0) == 3


def test_earnings_belong_to_the_day_on_which_they_came():
    of = prices([100.0, 110.0, 99.0], every_us=DAY_US)
    found = backtest({"A": of}, {"A": np.array([1, 1, 0])}, Rules())
    assert found.earned == pytest.approx([0.0, 0.10, -0.11])
    assert found.turnover == pytest.approx([1.0, 0.0, 0.99])


def test_a_position_is_a_number_of_shares_and_a_round_trip_of_prices_earns_nothing():
    of = prices([100.0, 50.0, 100.0])
    found = backtest({"A": of}, {"A": np.array([1, 1, 0])}, Rules())
    assert found.earned == pytest.approx([0.0])
    assert found.trades[0].earned == pytest.approx(0.0)


def test_a_days_signal_is_held_over_the_weekend_for_so_many_sessions():
    friday_close, monday_open = 4 * DAY_US, 7 * DAY_US
    start = np.array([3 * DAY_US, monday_open, 8 * DAY_US, 9 * DAY_US])
    of = Prices(start, np.ones(4), np.array([1.0, 1.1, 1.0]))
    never = np.iinfo(np.int64).max
    told = Orders(*(np.array([each]) for each in (friday_close, never, 1)))
    held = until_sessions(of, told, 1, 0)
    assert held.until_us.tolist() == [8 * DAY_US]
    assert sides(of, held, 0).tolist() == [0, 1, 0, 0]
    replaced = told._replace(until_us=np.array([friday_close + 1]))
    assert sides(of, until_sessions(of, replaced, 1, 0), 0).tolist() == [0, 0, 0, 0]
    assert until_sessions(of, told, 9, 0).until_us.tolist() == [never]


def test_a_symbol_without_signals_is_idle_capital():
    of = prices(PRICES)
    alone = backtest({"A": of}, {"A": np.array([1, 1, 1, 1, 1, 0])}, Rules())
    both = backtest(
        {"A": of, "B": of},
        {"A": np.array([1, 1, 1, 1, 1, 0]), "B": np.zeros(6, dtype=int)},
        Rules(),
    )
    assert both.earned == pytest.approx(alone.earned / 2)
    assert both.exposure == pytest.approx(0.5)


def test_momentum_is_on_the_side_of_the_day_before():
    of = prices([100, 101, 102, 102, 101, 99, 99, 98, 99, 99, 99, 99], every_us=DAY_US // 3)
    assert momentum(of).tolist() == [0, 0, 0, 1, 1, 1, -1, -1, -1, 0, 0, 0]


@given(st.lists(st.floats(50, 150), min_size=3, max_size=60), st.integers(1, 58))
def test_momentum_knows_no_later_price(walk, n):
    of = prices(walk, every_us=DAY_US // 4)
    other = prices([*walk[:n], *(1.5 * price for price in walk[n:])], every_us=DAY_US // 4)
    # What is traded at pane n was decided by the prices before it.
    assert momentum(of)[: min(n + 1, len(walk) - 1)].tolist() == (
        momentum(other)[: min(n + 1, len(walk) - 1)].tolist()
    )


sides_of_time = st.lists(
    st.tuples(st.integers(0, 60), st.integers(1, 20), st.sampled_from([-1, 1])), max_size=15
)


@given(sides_of_time, st.lists(st.floats(50, 150), min_size=3, max_size=60), st.integers(1, 58))
def test_what_comes_later_changes_nothing_before_it(given_orders, walk, at):
    of = prices(walk)
    told = orders(*sorted((a, a + lasts, side) for a, lasts, side in given_orders))
    earlier = told.as_of_us < at * MINUTE_US
    cut = Orders(*(column[earlier] for column in told))
    n = int(np.searchsorted(of.start_us, at * MINUTE_US))
    assert sides(of, told, 0)[: n - 1].tolist() == sides(of, cut, 0)[: n - 1].tolist()


@given(sides_of_time, st.lists(st.floats(50, 150), min_size=3, max_size=60))
def test_trades_add_up_and_cost_only_lowers(given_orders, walk):
    of = prices(walk)
    told = orders(*sorted((a, a + lasts, side) for a, lasts, side in given_orders))
    held = sides(of, told, 0)
    found = backtest({"A": of}, {"A": held}, Rules(borrow_per_year=0.0))
    assert found.earned.sum() == pytest.approx(sum(each.earned for each in found.trades))
    values = [2 + each.side * each.earned for each in found.trades]
    assert found.turnover.sum() == pytest.approx(sum(values))
    assert (found.net(1e-3) <= found.net(0.0)).all()
    flipped = backtest({"A": of}, {"A": -held}, Rules(borrow_per_year=0.0))
    assert flipped.earned == pytest.approx(-found.earned)
