"""Training on a Dask cluster of two worker processes: what one machine learns, within noise."""

import lightgbm
import numpy as np
import pytest
from distributed import LocalCluster

from models.scorer import ArtifactScorer
from stream.errors import Unavailable
from tests.unit.training.test_train_model import make_table
from training.cluster import _best_round, _loss, _losses, cluster, grown_there
from training.learners.learner import Block
from training.learners.lightgbm import LightGBM, Task
from training.train import train_model, untuned

TABLE = make_table(n=3_000)


@pytest.fixture(scope="module")
def client():
    with (
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
        ) as local,
        cluster(local.scheduler_address) as client,
    ):
        yield client


def test_two_workers_learn_what_one_machine_learns(client, capfd):
    told = []

    def grown(fit, tune, names, tasks):
        told.extend(task.parameters for task in tasks)
        return grown_there(client, fit, tune, names, tasks)

    here = train_model(TABLE, seed=0, num_threads=1, accepted="planted")
    chooser = untuned(LightGBM(grown=grown))
    there = train_model(TABLE, seed=0, chooser=chooser, num_threads=1, accepted="planted")
    assert len(told) == 6  # a direction and a return of each fold
    assert {each["extra_trees"] for each in told} == {True}
    near, far = here.artifact.metrics, there.artifact.metrics
    assert far["ic"] > 0.3
    assert far["ic"] == pytest.approx(near["ic"], abs=0.03)
    assert far["log_loss"] == pytest.approx(near["log_loss"], rel=0.01)
    assert there.verdict.says == here.verdict.says != "FAIL"
    assert there.artifact.version != here.artifact.version  # these are other trees
    scorer = ArtifactScorer(there.artifact)
    row = [None if np.isnan(value) else float(value) for value in TABLE.x[0]]
    assert sum(scorer.score(row)[:3]) == pytest.approx(1.0)
    assert capfd.readouterr().out == ""  # results alone go to stdout


def test_parameters_reach_the_trees(client):
    y = TABLE.y
    block = Block(TABLE.x, y, 1e4 * TABLE.forward_return, np.ones(len(y)))
    told = block.classes
    parameters = {
        "objective": "multiclass", "num_class": 3, "metric": "multi_logloss",
        "verbose": -1, "lambda_l2": 7.5,
        "num_leaves": 3, "min_sum_hessian_in_leaf": 11.0, "extra_trees": True, "num_threads": 1,
    }  # fmt: skip
    (text,) = grown_there(client, block, block, TABLE.feature_names, [Task(parameters, told, told)])
    assert max(int(line.partition("=")[2]) for line in text.splitlines()
               if line.startswith("num_leaves=")) <= 3  # fmt: skip
    for told in ("[lambda_l2: 7.5]", "[min_sum_hessian_in_leaf: 11]", "[extra_trees: 1]",
                 "[tree_learner: data]", "[num_machines: 2]"):  # fmt: skip
        assert told in text
    assert "feature_names=news noise constant never" in text


@pytest.mark.parametrize("objective", ["multiclass", "regression"])
def test_rounds_are_those_that_lightgbms_early_stopping_keeps(objective):
    fit, tune = TABLE.take(np.arange(2_000)), TABLE.take(np.arange(2_000, 3_000))
    classes = objective == "multiclass"
    y, y_tune = (each.y if classes else 1e4 * each.forward_return for each in (fit, tune))
    weight = np.linspace(0.5, 1.0, len(tune))
    data = lightgbm.Dataset(fit.x, y)
    held_out = lightgbm.Dataset(tune.x, y_tune, weight=weight, reference=data)
    shape = {"num_class": 3} if classes else {}
    found = {}
    stopped = lightgbm.train(
        {"objective": objective, "verbose": -1, "num_threads": 1, "seed": 0, **shape},
        data, 60, valid_sets=[held_out],
        callbacks=[lightgbm.early_stopping(5, verbose=False), lightgbm.record_evaluation(found)],
    )  # fmt: skip
    losses = _losses(stopped, tune.x, y_tune, weight)
    (expected,) = found["valid_0"].values()
    assert losses == pytest.approx(expected[: len(losses)], rel=1e-6)
    assert _best_round(losses, 5) == stopped.best_iteration


def test_a_loss_of_huge_scores_is_finite():
    raw = np.array([[1e4, 0.0, -1e4]])
    assert _loss(raw, np.array([0])) == pytest.approx([0.0])
    assert _loss(raw, np.array([1])) == pytest.approx([1e4])


def test_nobody_at_the_address_is_one_line():
    with pytest.raises(
        Unavailable, match=r"--dask tcp://127\.0\.0\.1:1: expected a Dask scheduler"
    ):
        with cluster("tcp://127.0.0.1:1", patience_s=1.0):
            pass
