"""Average uniqueness against a sum over every microsecond of a label's life."""

import numpy as np
import pytest

from training.weights import average_uniqueness


def summed(entry, exit_, group):
    found = []
    for i in range(len(entry)):
        lives = range(entry[i], exit_[i])
        held = [
            sum(group[j] == group[i] and entry[j] <= us < exit_[j] for j in range(len(entry)))
            for us in lives
        ]
        found.append(np.mean([1.0 / n for n in held]))
    return found


@pytest.mark.parametrize("seed", range(5))
def test_weights_equal_a_sum_over_time(seed):
    draw = np.random.default_rng(seed)
    n = 40
    entry = draw.integers(0, 60, n)
    exit_ = entry + draw.integers(1, 25, n)
    group = draw.choice(["a|pane", "b|pane", "b|news"], n)
    found = average_uniqueness(entry, exit_, group)
    assert found == pytest.approx(summed(entry, exit_, group), rel=1e-9)


def test_label_alone_weighs_one_and_n_of_one_span_weigh_one_together():
    entry, exit_ = np.array([0, 50, 50, 50]), np.array([50, 90, 90, 90])
    weights = average_uniqueness(entry, exit_, np.zeros(4))
    assert weights == pytest.approx([1.0, 1 / 3, 1 / 3, 1 / 3])


def test_weights_of_thirty_overlapping_panes_count_independent_outcomes():
    entry = np.arange(3_000) * 60_000_000
    weights = average_uniqueness(entry, entry + 30 * 60_000_000, np.zeros(3_000))
    assert weights[100:-100] == pytest.approx(1 / 30)
    assert weights.sum() == pytest.approx(3_000 / 30, rel=0.05)


def test_far_epochs_and_many_groups_lose_no_precision():
    start = 1_700_000_000_000_000
    entry = np.tile(start + np.arange(500) * 60_000_000, 200)
    group = np.repeat(np.arange(200), 500)
    weights = average_uniqueness(entry, entry + 60_000_000, group)
    assert weights == pytest.approx(1.0, abs=1e-9)
