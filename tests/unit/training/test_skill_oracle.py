"""Sessions, intervals and t values against naive recomputations."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from tests.unit.training.judgements import DAY, SHARES, make_judged
from training.evaluate import log_losses, pearson, ranks
from training.gates import Gates
from training.judge import judge
from training.label_rules import label_rule
from training.skill import (
    bounds,
    horizon_sessions,
    newey_west_t,
    session_ics,
    session_means,
    sessions,
    sharpe,
)


def test_rows_belong_to_the_day_on_which_they_could_be_bought():
    entry = np.array([3 * DAY + 5, DAY, 3 * DAY, DAY + 7])
    assert [rows.tolist() for rows in sessions(entry)] == [[1, 3], [0, 2]]
    assert session_means(np.array([1.0, 2.0, 3.0, 4.0]), entry).tolist() == [3.0, 2.0]
    assert sessions(np.zeros(0, dtype=np.int64)) == []


@pytest.mark.parametrize("ranked", [False, True])
def test_session_ics_equal_a_loop_and_leave_out_what_is_not_defined(ranked):
    draw = np.random.default_rng(0)
    entry = np.sort(draw.integers(0, 20, 120)) * DAY
    score, outcome = draw.normal(size=120), draw.normal(size=120)
    outcome[entry == 4 * DAY] = 1.0
    naive = []
    for day in range(20):
        a, b = score[entry == day * DAY], outcome[entry == day * DAY]
        if len(a) >= 5 and day != 4:
            naive.append(pearson(ranks(a), ranks(b)) if ranked else pearson(a, b))
    assert 0 < len(naive) < 20
    assert session_ics(score, outcome, entry, ranked=ranked) == pytest.approx(naive)


def test_newey_west_t_equals_bartletts_sum():
    series = np.random.default_rng(1).normal(0.2, 1.0, 80)
    off = series - series.mean()
    lags = int(4 * 0.8 ** (2 / 9))
    variance = off @ off / 80
    for lag in range(1, lags + 1):
        variance += 2 * (1 - lag / (lags + 1)) * (off[lag:] @ off[:-lag]) / 80
    assert newey_west_t(series, 1) == pytest.approx(series.mean() / (variance / 80) ** 0.5)
    assert newey_west_t(series, 20) != newey_west_t(series, 1)


def test_too_short_or_constant_series_have_no_t_and_no_interval():
    assert np.isnan(newey_west_t(np.ones(2), 1))
    assert np.isnan(newey_west_t(np.ones(9), 1))
    assert np.isnan(sharpe(np.ones(9), 1))
    assert (bounds(np.zeros(0), 1, 0).mean, bounds(np.ones(1), 1, 0).low) == (None, None)


def test_interval_of_independent_sessions_is_the_usual_one():
    series = np.random.default_rng(2).normal(0.3, 1.0, 400)
    found = bounds(series, 1, seed=0)
    error = series.std() / 20
    assert found.mean == pytest.approx(series.mean())
    assert found.low == pytest.approx(series.mean() - 1.645 * error, abs=0.25 * error)
    assert found.high == pytest.approx(series.mean() + 1.645 * error, abs=0.25 * error)
    assert bounds(series, 1, seed=0) == found != bounds(series, 1, seed=1)


def test_interval_is_wider_where_sessions_follow_each_other():
    draw = np.random.default_rng(3)
    waves = np.repeat(draw.normal(size=40), 10)
    mixed = draw.permutation(waves)
    wide, usual = (bounds(each, 10, seed=0) for each in (waves, mixed))
    assert wide.high - wide.low > 1.8 * (usual.high - usual.low)


@pytest.mark.parametrize("n", [2, 3, 19])
def test_interval_of_a_few_sessions_is_students(n):
    series = np.random.default_rng(4).normal(1.0, 1.0, n)
    found = bounds(series, 1, seed=0)
    usual = stats.t.interval(0.9, n - 1, series.mean(), stats.sem(series))
    assert (found.low, found.high) == pytest.approx(usual)


def test_rows_of_one_session_count_as_one_outcome():
    """Forty outcomes of 300 rows may be luck as a session each; mixed they look sure."""
    few = make_judged(skill=0.5, n=40, seed=5)
    p, y = np.repeat(few.p, 300, axis=0), np.repeat(few.y, 300)
    by_day = np.repeat(np.arange(40), 300) * DAY
    mixed = np.random.default_rng(0).permutation(12_000)
    chance = np.tile(SHARES, (12_000, 1))

    def width(p, y):
        found = bounds(session_means(log_losses(chance, y) - log_losses(p, y), by_day), 1, 0)
        return found.high - found.low

    assert width(p, y) > 5 * width(p[mixed], y[mixed])


def test_horizon_counts_sessions_and_lengthens_what_must_be_judged():
    assert horizon_sessions(label_rule("intraday")) == 1
    assert horizon_sessions(label_rule("daily")) == 1
    two_weeks = label_rule("daily", "2w")
    assert horizon_sessions(two_weeks) == 10
    two_weeks = replace(two_weeks, sessions=None)
    assert horizon_sessions(two_weeks) == 14
    found = judge(make_judged(n=2_000), two_weeks, Gates(), n_rows=2_000, seed=0)
    check = next(each for each in found.checks if each.name == "sessions judged")
    assert check.expected == "at least 56"
