"""Combinatorial paths: each block judged once a path, on models that never saw it."""

import numpy as np
import pytest

from tests.unit.training.test_train_model import make_table
from training.errors import TrainingRefused
from training.learners.lightgbm import LightGBM
from training.learners.recipe import Recipe
from training.paths import walked

HOUR = 3_600_000_000


def walk(table, n_groups=4, n_test=2, embargo_us=0):
    return walked(table, Recipe(LightGBM()), n_groups, n_test,
                  embargo_us=embargo_us, seed=0, num_threads=1)  # fmt: skip


def test_every_path_finds_what_is_there_and_none_what_is_not():
    there = walk(make_table(n=3_000))
    assert len(there) == 3  # of 6 splits
    assert all(path.gained > 0.02 and path.daily_ic > 0.2 and path.sharpe > 0 for path in there)
    nothing = walk(make_table(n=3_000, effect=0.0))
    assert np.mean([path.gained for path in nothing]) < 0.005


def test_an_effect_of_one_half_of_the_time_shows_in_the_paths_as_less_than_of_all():
    table, half = make_table(n=3_000), make_table(n=3_000)
    half.forward_return[:1_500] = np.random.default_rng(1).permutation(half.forward_return[:1_500])
    whole, partly = walk(table), walk(half)
    assert max(path.gained for path in partly) < min(path.gained for path in whole)


def test_an_embargo_that_leaves_nothing_to_learn_from_is_refused():
    with pytest.raises(TrainingRefused, match="load more history"):
        walk(make_table(n=1_000), embargo_us=10_000 * 24 * HOUR)
