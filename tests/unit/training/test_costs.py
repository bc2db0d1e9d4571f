"""Costs: what a position keeps, and at which cost nothing is left."""

import numpy as np
import pytest

from training.costs import COSTS_BPS, after_costs, net_returns

YEAR_US = 365 * 86_400_000_000


def test_net_return_pays_two_sides_and_a_short_its_borrow():
    side = np.array([1, -1, 0])
    moved = np.array([0.01, 0.01, 0.01])
    held = np.full(3, YEAR_US // 2)
    net = net_returns(side, moved, held, 5.0)
    assert net == pytest.approx([0.01 - 0.001, -0.01 - 0.001 - 0.0025, 0.0])


def test_nothing_is_left_at_the_break_even_cost():
    draw = np.random.default_rng(0)
    side = draw.choice([-1, 0, 1], 500)
    moved = draw.normal(size=500) * 0.01 + side * 0.002
    held = np.full(500, 86_400_000_000)
    found = after_costs(side, moved, held)
    assert tuple(found.mean) == COSTS_BPS
    assert found.mean[0.0] > found.mean[2.0] > found.mean[5.0] > found.mean[10.0]
    at_break_even = net_returns(side, moved, held, found.break_even_bps)
    assert at_break_even.sum() == pytest.approx(0.0, abs=1e-12)
    for bps, mean in found.mean.items():
        taken = net_returns(side, moved, held, bps)[side != 0]
        assert mean == pytest.approx(taken.mean())


def test_without_a_position_there_is_no_break_even():
    none = after_costs(np.zeros(3, dtype=int), np.ones(3), np.ones(3, dtype=int))
    assert none.break_even_bps is None
    assert set(none.mean.values()) == {0.0}
