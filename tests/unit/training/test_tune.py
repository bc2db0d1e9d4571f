"""Tuning: sees only what it may, stops on time, and goes on where it was stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from typing import ClassVar

import numpy as np
import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from tests.unit.training.test_train_model import make_table
from training.errors import TrainingRefused
from training.learners.learner import Block, Span
from training.learners.lightgbm import LightGBM
from training.learners.linear import Linear
from training.learners.recipe import Recipe, chosen
from training.train import train_model
from training.tune import Tuning

RECIPE = Recipe(Linear(shrinkage=1.0))


def tuning(path, trials, **changes):
    """So many trials a fold, by a clock that counts questions."""
    asked = iter(range(10**6))
    given = {
        "recipe": RECIPE,
        "path": path,
        "spent": lambda: next(asked) / trials,
        "resume": False,
        "seed": 0,
        "num_threads": 1,
    }
    return Tuning(**{**given, **changes})


def small(**changes):
    return make_table(n=1_000, n_days=30, **changes)


def studies(path):
    storage = JournalStorage(JournalFileBackend(str(path)))
    return {
        name: optuna.load_study(study_name=name, storage=storage)
        for name in optuna.get_all_study_names(storage)
    }


def test_first_trial_is_the_learner_as_it_is_and_the_best_is_kept(tmp_path):
    path, told = tmp_path / "log", []
    recipe, n = tuning(path, 4, told=lambda *given: told.append(given))(small(), 0, 1)
    (study,) = studies(path).values()
    assert study.trials[0].params == dict(RECIPE.parameters)
    assert recipe == RECIPE.changed(study.best_params)
    assert n == len(study.trials) == 4
    assert [each[:2] for each in told] == [(0, i + 1) for i in range(4)]
    assert told[-1][2] == -study.best_value >= -study.trials[0].value


def test_same_seed_gives_the_same_trials(tmp_path):
    first, again = (tuning(tmp_path / name, 3)(small(), 0, 1) for name in ("one", "other"))
    assert first == again


def test_each_fold_has_its_share_of_the_time(tmp_path):
    tune = tuning(tmp_path / "log", 8)
    assert [tune(small(seed=fold), fold, 4)[1] for fold in range(4)] == [2, 1, 1, 1]


def test_no_time_and_no_trials_leave_the_learner_as_it_is(tmp_path):
    tune = tuning(tmp_path / "log", 1, spent=lambda: 1.0)
    assert tune(small(), 0, 1) == (RECIPE, 0)


def test_resumed_without_time_uses_the_best_again_and_other_rows_do_not(tmp_path):
    path = tmp_path / "log"
    found, n = tuning(path, 2)(small(), 0, 1)
    over = {"resume": True, "spent": lambda: 1.0}
    assert tuning(path, 1, **over)(small(), 0, 1) == (found, n)
    assert tuning(path, 1, **over)(small(seed=1), 0, 1) == (RECIPE, 0)
    entered_sooner = small()  # so it weighs otherwise, though features and outcomes are the same
    entered_sooner.entry_us[:100] -= 1
    assert tuning(path, 1, **over)(entered_sooner, 0, 1) == (RECIPE, 0)


def test_without_resume_it_begins_again(tmp_path):
    path = tmp_path / "log"
    tuning(path, 3)(small(), 0, 1)
    assert tuning(path, 2)(small(), 0, 1)[1] == 2


KILLED = """
import sys
from tests.unit.training.test_tune import small, tuning
tuning(sys.argv[1], 10**6)(small(), 0, 1)
"""


def test_tuning_goes_on_after_a_kill(tmp_path):
    path = tmp_path / "log"
    with subprocess.Popen([sys.executable, "-c", KILLED, str(path)]) as child:
        deadline = time.monotonic() + 240
        while not path.exists() or path.read_bytes().count(b'"state":1') < 3:
            assert child.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.kill(child.pid, signal.SIGKILL)
    before = next(iter(studies(path).values())).trials
    kept = [each.value for each in before if each.state.name == "COMPLETE"]
    assert len(kept) >= 3
    _, n = tuning(path, 2, resume=True)(small(), 0, 1)
    after = next(iter(studies(path).values())).trials
    assert n == len(after) == len(before) + 2
    assert [each.value for each in after if each.state.name == "COMPLETE"][: len(kept)] == kept


def leaking():
    """`noise` becomes the outcome itself, but only in rows that the outer fold judges."""
    table = make_table(n=1_500, effect=0.3)
    judged = np.arange(len(table)) >= int(0.88 * len(table))
    x = table.x.copy()
    x[judged, 1] = 1e4 * table.forward_return[judged]
    return replace(table, x=x)


class Selecting(Linear):
    """Tuned in its features only."""

    space: ClassVar = {}


def block(table):
    return Block(table.x, table.y, 1e4 * table.forward_return, np.ones(len(table)))


def test_a_feature_that_leaks_in_judged_rows_is_not_chosen(tmp_path):
    table, seen = leaking(), []

    def watched(fit, fold, n_folds):
        seen.append(fit)
        recipe = Recipe(Selecting(), keep=0.25)
        return tuning(tmp_path / "log", 2, recipe=recipe)(fit, fold, 1)

    trained = train_model(table, seed=0, chooser=watched, num_threads=1)
    judged = trained.judged.as_of_us
    newest = seen[-1]
    assert max(fit.exit_us.max() for fit in seen) < judged.max()
    assert newest.exit_us.max() < table.as_of_us[int(0.88 * len(table))]
    assert list(chosen(block(newest), newest.feature_names, 0.25, 0, 1)) == [
        True,
        False,
        False,
        False,
    ]
    # Had it seen the judged rows, it would have been the first.
    assert chosen(block(table), table.feature_names, 0.25, 0, 1)[1]
    assert trained.artifact.metrics["n_trials"] >= 3
    assert 0.1 <= trained.artifact.parameters["keep"] <= 1.0


def test_rows_that_lack_a_class_at_first_are_refused(tmp_path):
    table = small()
    flat = np.where(np.arange(len(table)) < 700, 0.0, table.forward_return)
    with pytest.raises(TrainingRefused, match="inner fold 1: expected rows of every class"):
        tuning(tmp_path / "log", 2)(replace(table, forward_return=flat), 0, 1)


def test_a_trial_that_fails_is_left_out(tmp_path):
    class Wild(LightGBM):
        space: ClassVar = {"learning_rate": Span(1e-3, 1e300, log=True)}

    path = tmp_path / "log"
    recipe, n = tuning(path, 6, recipe=Recipe(Wild(learning_rate=0.1)))(small(), 0, 1)
    states = [each.state.name for each in next(iter(studies(path).values())).trials]
    assert n == len(states) == 6
    assert "FAIL" in states
    assert recipe.learner.learning_rate < 1e3
