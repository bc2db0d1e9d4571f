"""Sharpe ratios and how sure they are, against simulation and the formulas' special cases."""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist

import numpy as np
import pytest

from stream.features.panes import DAY_US
from training.backtest import Backtest
from training.performance import lines, performance


def test_known_figures():
    found = performance(np.array([0.01, -0.02, 0.03, 0.0]), 1)
    assert found.total == pytest.approx(0.02)
    assert found.drawdown == pytest.approx(0.02)
    assert found.worst_day == -0.02
    spread = np.array([0.01, -0.02, 0.03, 0.0]).std(ddof=1)
    assert found.sharpe == pytest.approx(0.005 / spread * sqrt(252))
    assert found.sharpe_low < found.sharpe < found.sharpe_high


def test_mertens_interval_worked_by_hand():
    # Two outcomes, -1 once and 2 nine times, give skew -8/3 and kurtosis 73/9 exactly.
    daily = np.array([-1.0] + [2.0] * 9)
    found = performance(daily, 1, days_a_year=1)
    ratio = 1.7 / daily.std(ddof=1)
    error = sqrt((1 + 8 / 3 * ratio + (73 / 9 - 1) / 4 * ratio**2) / 9)
    assert found.sharpe == pytest.approx(ratio)
    assert found.sharpe_high - found.sharpe_low == pytest.approx(2 * 1.96 * error)
    assert found.deflated == pytest.approx(NormalDist().cdf(ratio / error))


@pytest.mark.parametrize("daily", [[], [0.01], [0.0, 0.0, 0.0], [0.1] * 7])
def test_without_spread_there_is_no_ratio(daily):
    found = performance(np.array(daily, dtype=float), 1)
    assert (found.sharpe, found.deflated, found.per_year) == (None, None, None)
    assert found.total == pytest.approx(sum(daily))


def test_the_interval_holds_the_true_ratio_as_often_as_it_says():
    draw = np.random.default_rng(0)
    true = 0.1 * sqrt(252)
    inside = 0
    for _ in range(400):
        daily = draw.standard_t(6, 250) * sqrt(4 / 6) * 0.01 + 0.001
        found = performance(daily, 1)
        inside += found.sharpe_low <= true <= found.sharpe_high
    assert inside / 400 == pytest.approx(0.95, abs=0.035)


def test_the_best_of_many_tries_without_skill_is_not_believed():
    draw = np.random.default_rng(1)
    best_of = [
        max((draw.normal(0, 0.01, 250) for _ in range(50)), key=lambda d: d.mean() / d.std())
        for _ in range(60)
    ]
    naive = np.array([performance(daily, 1).deflated for daily in best_of])
    honest = np.array([performance(daily, 50).deflated for daily in best_of])
    assert (naive > 0.95).mean() > 0.7
    assert (honest > 0.95).mean() < 0.15
    assert np.median(honest) == pytest.approx(0.5, abs=0.15)


def test_one_try_is_the_probability_of_a_ratio_above_zero():
    daily = np.random.default_rng(2).normal(0.001, 0.01, 500)
    found = performance(daily, 1)
    error = (found.sharpe_high - found.sharpe_low) / 2 / 1.96
    assert found.deflated == pytest.approx(NormalDist().cdf(found.sharpe / error))


def test_a_row_for_each_strategy_and_cost_and_only_the_first_was_tried_for():
    daily = np.random.default_rng(3).normal(0.001, 0.01, 100)
    days, nothing = np.arange(100) * DAY_US, np.zeros(100)
    one = Backtest(days, daily, nothing, nothing + 1, (), 0, 0.0)
    rows = lines({"a": one, "b": one}, [0.0, 5.0], 20)
    assert [row[:2] for row in rows] == [
        ("a", "0 bp"), ("a", "5 bp"), ("b", "0 bp"), ("b", "5 bp"),
    ]  # fmt: skip
    assert rows[0][4] == rows[2][4]
    assert float(rows[0][5]) < float(rows[2][5])


def test_days_a_year_are_those_that_are_traded():
    nothing = np.zeros(5)
    week = np.arange(4, 9) * DAY_US  # from Monday, 1970-01-05, on
    assert Backtest(week, nothing, nothing, nothing, (), 0, 0.0).days_a_year == 252
    assert Backtest(week + DAY_US, nothing, nothing, nothing, (), 0, 0.0).days_a_year == 365
