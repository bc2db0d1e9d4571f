"""Splits: time order, no shared moment, and purges that planted leaks test."""

import itertools
from math import comb

import numpy as np
import pytest

from stream.features.vector import FEATURE_SETS
from training.errors import TrainingRefused
from training.splits import (
    Fold,
    SplitRule,
    backtest_paths,
    combinatorial,
    longest_window_us,
    refuse_leaky,
    walk_forward,
)

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


def met(as_of, exit_, train, test, embargo=0):
    """Pairs of a train and a test row whose [as_of, exit] meet, by looking at every pair."""
    return [
        (i, j) for i in train for j in test if as_of[i] < exit_[j] + embargo and as_of[j] < exit_[i]
    ]


def test_the_judge_block_loses_no_rows():
    as_of, exit_ = make_rows()
    folds, _ = walk_forward(as_of, exit_, RULE, 40)
    judged = np.concatenate([fold.judge for fold in folds])
    assert np.array_equal(judged, np.arange(judged[0], len(as_of)))


@pytest.mark.parametrize(("n_groups", "n_test", "embargo"), [(6, 2, 0), (6, 2, 200), (5, 3, 40)])
def test_combinatorial_splits_equal_a_naive_purge(n_groups, n_test, embargo):
    as_of, exit_ = make_rows(300, seed=4)
    splits = combinatorial(as_of, exit_, n_groups, n_test, embargo)
    assert len(splits) == comb(n_groups, n_test)
    edges = np.searchsorted(as_of, as_of[[i * 300 // n_groups for i in range(n_groups)]])
    blocks = np.split(np.arange(300), edges[1:])
    for split in splits:
        tested = [blocks[g] for g in split.tested]
        assert np.array_equal(split.test, np.concatenate(tested))
        kept = [
            i
            for i in range(300)
            if i not in split.test
            and all(
                exit_[i] <= as_of[rows[0]] or as_of[i] >= exit_[rows].max() + embargo
                for rows in tested
            )
        ]
        assert np.array_equal(split.train, kept)
        assert met(as_of, exit_, split.train, split.test, embargo) == []


def test_every_path_tests_each_group_once_and_each_prediction_is_in_one():
    as_of, exit_ = make_rows(600)
    splits = combinatorial(as_of, exit_, 6, 2, 0)
    paths = backtest_paths(6, 2)
    assert paths.shape == (5, 6)
    used = {(split, group) for path in paths for group, split in enumerate(path)}
    assert len(used) == 30 == sum(len(split.tested) for split in splits)
    assert all(group in splits[split].tested for split, group in used)


def test_combinatorial_splits_without_room_for_the_embargo_are_refused():
    as_of, exit_ = make_rows()
    with pytest.raises(TrainingRefused, match=r"groups 0 of 4: expected rows to train .* got 0"):
        combinatorial(as_of, exit_, 4, 1, int(as_of[-1]))


def test_longest_window_covers_a_year_of_sessions():
    day = 86_400_000_000
    assert longest_window_us(FEATURE_SETS["intraday"]) >= 365 * day
    assert longest_window_us(FEATURE_SETS["daily"]) >= 366 * day


@pytest.mark.parametrize("seed", range(5))
def test_leaks_are_those_of_every_pair_looked_at(seed):
    draw = np.random.default_rng(seed)
    as_of, exit_ = make_rows(60, seed=seed)
    found = 0
    for _ in range(40):
        rows = draw.permutation(60)[: draw.integers(2, 12)]
        train, test = np.split(rows, [1 + draw.integers(len(rows) - 1)])
        embargo = int(draw.choice([0, 30]))
        pairs = met(as_of, exit_, train, test, embargo)
        if not pairs:
            refuse_leaky(train, test, as_of, exit_, embargo)
            continue
        found += 1
        n = len({i for i, _ in pairs})
        with pytest.raises(TrainingRefused, match=f"; {n} of {len(train)} do: row"):
            refuse_leaky(train, test, as_of, exit_, embargo)
    assert 5 < found < 40


def test_row_whose_exit_reaches_into_the_test_block_is_found_and_named():
    minute = 60_000_000
    as_of = np.arange(100) * 30 * minute
    exit_ = as_of + 30 * minute
    train, test = np.arange(50), np.arange(50, 100)
    refuse_leaky(train, test, as_of, exit_)
    exit_[49] += 1
    with pytest.raises(TrainingRefused) as refused:
        refuse_leaky(train, test, as_of, exit_)
    assert "1 of 50 do: row 49 (1970-01-02 00:30:00 to 1970-01-02 01:00:00)" in str(refused.value)
    assert "meets test row 50 (1970-01-02 01:00:00 to" in str(refused.value)


def test_shuffled_and_stratified_splits_are_refused():
    as_of, exit_ = make_rows()
    rows = np.random.default_rng(0).permutation(len(as_of))
    with pytest.raises(TrainingRefused, match="split by time and purge"):
        refuse_leaky(rows[:1_500], rows[1_500:], as_of, exit_)
    by_class = np.arange(len(as_of)) % 5 == 0
    with pytest.raises(TrainingRefused, match="split by time and purge"):
        refuse_leaky(np.flatnonzero(~by_class), np.flatnonzero(by_class), as_of, exit_)


def test_shuffled_split_of_rows_that_do_not_overlap_is_refused_by_the_embargo():
    as_of = np.arange(1_000) * 100
    rows = np.random.default_rng(0).permutation(1_000)
    refuse_leaky(rows[:800], rows[800:], as_of, as_of + 100)
    with pytest.raises(TrainingRefused, match="split by time and purge"):
        refuse_leaky(rows[:800], rows[800:], as_of, as_of + 100, 250)


def test_unpurged_fold_is_refused_and_a_purged_one_is_not():
    as_of, exit_ = make_rows()
    fold = walk_forward(as_of, exit_, RULE, 0)[0][-1]
    refuse_leaky(np.concatenate(fold[:3]), fold.judge, as_of, exit_)
    unpurged = Fold(*(np.arange(block[0], after[0]) for block, after in itertools.pairwise(fold)),
                    fold.judge)  # fmt: skip
    with pytest.raises(TrainingRefused, match="meets test row"):
        refuse_leaky(np.concatenate(unpurged[:3]), fold.judge, as_of, exit_)
