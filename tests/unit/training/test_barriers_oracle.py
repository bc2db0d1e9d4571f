"""Barriers against a walk from pane to pane; what is not touched keeps its horizon."""

from dataclasses import replace

import numpy as np
import pytest

from training.barriers import first_touch
from training.label_rules import label_rule
from training.labels import Left, forward_returns
from training.prices import NEVER, PricePath, Sessions

MINUTE = 60_000_000
RULE = label_rule("intraday", "30m-barrier")


def make_path(price, minutes=None, sessions=None):
    starts = np.array(minutes if minutes is not None else range(len(price)), dtype=np.int64)
    starts = starts * MINUTE
    return PricePath(starts, starts + MINUTE, starts + MINUTE, np.array(price), sessions)


def walked(path, entry_us, exit_us, width):
    """(exit, return) of the first pane that trades a width away, by walking."""
    panes = list(zip(path.at_us.tolist(), path.price.tolist(), strict=True))
    paid = next(price for at, price in panes if at == entry_us)
    for at, price in panes:
        if entry_us < at <= exit_us and (abs(price / paid - 1.0) >= width or at == exit_us):
            return at, price / paid - 1.0
    raise AssertionError("no exit")


@pytest.mark.parametrize("seed", range(6))
def test_exits_equal_a_walk_over_the_panes(seed):
    draw = np.random.default_rng(seed)
    minutes = np.sort(draw.choice(400, 300, replace=False))
    path = make_path(10.0 * np.exp(np.cumsum(draw.normal(size=300) * 0.002)), minutes)
    as_of = draw.integers(0, 420 * MINUTE, 300)
    labels = forward_returns(as_of, path, RULE, 410 * MINUTE)
    width = draw.choice([0.0005, 0.004, 0.02, np.nan], 300)
    touched = first_touch(labels, path, width)
    assert np.array_equal(touched.left, labels.left)
    assert np.array_equal(touched.entry_us, labels.entry_us)
    early = 0
    for i in np.flatnonzero(labels.left == Left.LABELLED):
        expected = walked(path, labels.entry_us[i], labels.exit_us[i], width[i])
        assert (touched.exit_us[i], touched.forward_return[i]) == expected
        early += touched.exit_us[i] < labels.exit_us[i]
    assert early > 50


def test_first_touch_wins_over_a_later_and_larger_one():
    path = make_path([10.0, 10.0, 10.0, 9.8, 11.0, *[10.0] * 40])
    labels = forward_returns([0], path, RULE, 100 * MINUTE)
    touched = first_touch(labels, path, np.array([0.01]))
    assert touched.exit_us[0] == 4 * MINUTE
    assert touched.forward_return[0] == 9.8 / 10.0 - 1.0


def test_row_that_touched_but_has_not_matured_is_left_out():
    path = make_path([10.0, 10.0, 12.0, 10.0])
    labels = forward_returns([0], path, RULE, 4 * MINUTE)
    assert first_touch(labels, path, np.array([0.01])).left[0] == Left.UNMATURED


def test_symbol_without_panes_has_nothing_to_touch():
    path = make_path([])
    labels = forward_returns([0], path, RULE, 0)
    assert first_touch(labels, path, np.array([0.01])).left[0] == Left.UNMATURED


def test_barriers_do_not_reach_over_a_close():
    opens = np.array([0, 1000 * MINUTE])
    closes = np.array([60 * MINUTE, NEVER])
    path = make_path([10.0] * 59 + [20.0], sessions=Sessions(opens, closes, closes))
    labels = forward_returns([40 * MINUTE], path, replace(RULE, k=1.0), 2000 * MINUTE)
    assert first_touch(labels, path, np.array([0.01])).left[0] == Left.CROSSES_CLOSE
