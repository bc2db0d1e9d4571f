"""The confidence sequence: what it promises under optional stopping, and what it can show."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import inf, sqrt

import numpy as np
import pytest

from training.confidence import Interval, expected_length, interleaved, interval
from training.labels import Floats

ALPHA = 0.2
N = 200
LOOKS = range(5, N, 5)
RANGES = 0.02 + 0.2 * (np.arange(N) % 7 == 0)
Law = Callable[[np.random.Generator, int], Floats]


def flat(c: float) -> Floats:
    return np.full(N, c)


def coins(draw: np.random.Generator, n: int) -> Floats:
    """+0.05 or -0.05."""
    x: Floats = draw.choice([0.05, -0.05], n)
    return x


def rare_losses(draw: np.random.Generator, n: int) -> Floats:
    """Small gains that now and then a loss of forty of them takes back."""
    x: Floats = np.where(draw.random(n) < 1 / 41, -0.4, 0.01)
    return x


def uneven_days(draw: np.random.Generator, n: int) -> Floats:
    """Every day has a range of its own."""
    x: Floats = draw.uniform(-1, 1, n) * RANGES
    return x


def five_day_returns(draw: np.random.Generator, n: int) -> Floats:
    """Each shares four days with the next."""
    x: Floats = np.convolve(draw.choice([0.01, -0.01], n + 4), np.ones(5), "valid")
    return x


def ever_wrong(
    law: Law, bound: Floats, judge: Callable[[Floats, Floats], Interval], n_paths: int = 100
) -> float:
    """Share of markets in which a daily look finds, on some day, a mean of 0 to be refuted."""
    draw = np.random.default_rng(7)
    wrong = 0
    for _ in range(n_paths):
        path = law(draw, N)
        found = (judge(path[:n], bound[:n]) for n in LOOKS)
        wrong += any(not low <= 0.0 <= high for low, high in found)
    return wrong / n_paths


@pytest.mark.parametrize(
    ("law", "bound"),
    [(coins, flat(0.05)), (rare_losses, flat(0.4)), (uneven_days, RANGES)],
    ids=["coins", "rare losses", "uneven days"],
)
def test_who_looks_every_day_and_stops_when_it_suits_is_seldom_wrong(
    law: Law, bound: Floats
) -> None:
    assert ever_wrong(law, bound, lambda x, c: interval(x, c, ALPHA)) <= ALPHA


def test_so_is_who_looks_at_outcomes_that_overlap() -> None:
    judge = partial(interleaved, alpha=ALPHA, n=5)
    assert ever_wrong(five_day_returns, flat(0.05), judge) <= ALPHA


def test_an_interval_for_one_look_is_found_out_by_the_same_test() -> None:
    def normal(x: Floats, bound: Floats) -> Interval:
        half = 1.2816 * x.std() / sqrt(len(x))  # of 80 % at one look
        return Interval(x.mean() - half, x.mean() + half)

    assert ever_wrong(coins, flat(0.05), normal) > ALPHA


def test_so_is_a_range_that_values_exceed() -> None:
    assert ever_wrong(rare_losses, flat(0.011), lambda x, c: interval(x, c, ALPHA)) > ALPHA


@pytest.mark.parametrize(("shift", "decided_by"), [(0.01, 400), (-0.01, 400), (0.04, 40)])
def test_a_shift_is_shown_about_when_it_was_expected(shift: float, decided_by: int) -> None:
    x = np.random.default_rng(1).uniform(-0.05, 0.05, 2_000) + shift
    bound = np.full(2_000, 0.05 + abs(shift))
    decided = next(
        n for n in range(1, 2_000) if not (i := interval(x[:n], bound[:n], 0.05)).low <= 0 <= i.high
    )
    assert decided <= decided_by
    assert expected_length(x, bound, 0.05, 1) == pytest.approx(decided, rel=0.5)
    low, high = interval(x, bound, 0.05)
    assert low <= shift <= high
    assert high - low < 0.02


def test_more_data_narrow_it_and_none_leave_it_open() -> None:
    x, bound = coins(np.random.default_rng(2), 1_000), np.full(1_000, 0.05)
    widths = [high - low for low, high in (interval(x[:n], bound[:n], 0.05) for n in (20, 1_000))]
    assert widths[1] < widths[0] / 5
    none = np.zeros(0)
    assert interval(none, none, 0.05) == interleaved(none, none, 0.05, 3) == (-inf, inf)
    assert expected_length(none, none, 0.05, 1) == expected_length(x * 0, bound, 0.05, 1) == inf


def test_what_it_rests_on_holds_for_every_value_in_the_range() -> None:
    x = np.linspace(-1.0, 30.0, 100_001)
    for used in (0.01, 0.5, 0.9, 0.999):
        cost = -np.log1p(-used) - used
        assert (np.exp(used * x - cost * x**2) <= 1.0 + used * x + 1e-12).all()
