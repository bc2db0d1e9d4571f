"""Walk-forward folds: time order, no shared moment, and a purge that a planted leak tests."""

import itertools

import numpy as np
import pytest

from training.splits import SplitRule, walk_forward

RULE = SplitRule()


def make_rows(n=2_000, horizon=50, seed=0):
    draw = np.random.default_rng(seed)
    as_of = np.sort(draw.integers(0, 10 * n, n))
    return as_of, as_of + draw.integers(1, horizon, n)


@pytest.mark.parametrize("embargo", [0, 40])
def test_no_label_of_an_earlier_block_reaches_a_later_one(embargo):
    as_of, exit_ = make_rows()
    folds, _ = walk_forward(as_of, exit_, RULE, embargo)
    assert len(folds) == RULE.n_folds
    for fold in folds:
        for earlier, later in itertools.pairwise(fold):
            assert exit_[earlier].max() + embargo <= as_of[later].min()


def test_planted_leak_is_found_without_the_purge_and_gone_with_it():
    """Labels are sums of the next 30 steps: of noise, but neighbours share most of their steps.

    Whoever copies the last label before the judge block looks skilled, unless it was purged.
    """
    n, steps = 2_000, 30
    as_of = np.arange(n) * 10
    exit_ = as_of + steps * 10
    leaked, honest = [], []
    for seed in range(200):
        path = np.cumsum(np.random.default_rng(seed).normal(size=n + steps + 1))
        label = path[steps : steps + n] - path[:n]
        fold = walk_forward(as_of, exit_, RULE, 0)[0][-1]
        first = fold.judge[0]
        leaked.append((label[first - 1], label[first]))
        honest.append((label[fold.choose[-1]], label[first]))
    assert np.corrcoef(np.array(leaked).T)[0, 1] > 0.9
    assert abs(np.corrcoef(np.array(honest).T)[0, 1]) < 0.2


def test_rows_of_one_moment_are_never_parted():
    as_of = np.repeat(np.arange(40) * 100, 50)
    folds, _ = walk_forward(as_of, as_of + 1, RULE, 0)
    for fold in folds:
        for earlier, later in itertools.pairwise(fold):
            assert as_of[earlier].max() < as_of[later].min()


def test_judge_blocks_of_all_folds_do_not_overlap_and_end_with_the_data():
    as_of, exit_ = make_rows()
    folds, _ = walk_forward(as_of, exit_, RULE, 0)
    judged = np.concatenate([fold.judge for fold in folds])
    assert len(np.unique(judged)) == len(judged)
    assert judged.max() == len(as_of) - 1


def test_later_folds_fit_on_more():
    as_of, exit_ = make_rows()
    sizes = [len(fold.fit) for fold in walk_forward(as_of, exit_, RULE, 0)[0]]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]


def test_purged_rows_are_counted():
    as_of, exit_ = make_rows()
    folds, purged = walk_forward(as_of, exit_, RULE, 0)
    assert purged == len(as_of) - sum(len(block) for block in folds[-1])
    assert purged > 0


def test_label_longer_than_a_block_leaves_it_empty():
    as_of = np.arange(1_000)
    folds, _ = walk_forward(as_of, as_of + 500, RULE, 0)
    assert len(folds[-1].choose) == 0
