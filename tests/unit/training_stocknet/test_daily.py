"""Daily correlations and Newey-West against plain recomputations."""

import numpy as np
import pytest

from training.skill import newey_west
from training.stocknet.daily import daily_ics, stationary_interval

DRAW = np.random.default_rng(3)


def test_daily_ics_are_the_correlations_of_each_day():
    day = DRAW.permutation(np.repeat(np.arange(20), 9))
    score, outcome = DRAW.normal(size=(2, len(day)))
    days, ics = daily_ics(score, outcome, day)
    assert list(days) == list(range(20))
    naive = [np.corrcoef(score[day == d], outcome[day == d])[0, 1] for d in range(20)]
    assert ics == pytest.approx(naive)


def test_what_a_day_shares_changes_no_ic():
    day = np.repeat(np.arange(10), 8)
    score, outcome = DRAW.normal(size=(2, 80))
    plain = daily_ics(score, outcome, day)[1]
    assert daily_ics(score + 5 * day, outcome - 3 * day, day)[1] == pytest.approx(plain)


def test_days_that_say_nothing_are_left_out():
    day = np.array([1] * 4 + [2] * 6 + [3] * 6 + [4] * 6)
    score = np.arange(22.0)
    score[4:10] = 1.0  # day 2 says the same of all
    score[10:12] = np.nan  # day 3 has four left, day 1 never had more
    assert list(daily_ics(score, DRAW.normal(size=22), day)[0]) == [4]


@pytest.mark.parametrize("lags", [0, 1, 5])
def test_newey_west_is_the_textbook_sum(lags):
    values = np.convolve(DRAW.normal(0.1, 1, 300), [1, 0.5, 0.3], "valid")
    off, n = values - values.mean(), len(values)
    total = off @ off + sum(
        2 * (1 - k / (lags + 1)) * (off[k:] @ off[:-k]) for k in range(1, lags + 1)
    )
    mean, t = newey_west(values, lags)
    assert mean == pytest.approx(values.mean())
    assert t == pytest.approx(values.mean() / (np.sqrt(total) / n))


def test_too_few_or_equal_values_have_no_t():
    assert np.isnan(newey_west(np.array([1.0, 2.0]), 5)[1])
    assert newey_west(np.full(50, 0.5), 5)[0] == 0.5
    assert np.isnan(newey_west(np.full(50, 0.5), 5)[1])


def test_an_interval_holds_the_mean_and_widens_with_dependence():
    noise = DRAW.normal(size=400)
    slow = np.convolve(DRAW.normal(size=419), np.ones(20), "valid") / 20**0.5
    plain, wide = (stationary_interval(each, 20, seed=1) for each in (noise, slow))
    assert plain.low < noise.mean() < plain.high
    assert wide.high - wide.low > 1.5 * (plain.high - plain.low)
