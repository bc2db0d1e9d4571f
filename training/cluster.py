"""LightGBM on a Dask cluster: the rows are dealt to its workers, the trees come back.

    rows i, i + k, i + 2k ... ──► worker i ──┐ histograms summed over all workers
    ...                                      ├──► every worker grows the same trees ──► one model

Each worker finds the bins of some features from its own rows alone, so rows are dealt round and
not cut by time.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any

import lightgbm
import numpy as np
from dask import array, delayed
from distributed import Client
from lightgbm.dask import DaskLGBMRegressor

from stream.errors import Unavailable
from training.labels import Floats, Ints
from training.learners.categories import categories
from training.learners.learner import MAX_ROUNDS, STOP_AFTER, Block, check_losses
from training.learners.lightgbm import Task


@contextmanager
def cluster(address: str, patience_s: float = 10.0) -> Iterator[Client]:
    """A client of the scheduler at `address`, such as tcp://10.0.0.5:8786.

    Raises
    ------
    Unavailable
        Nobody answers there in `patience_s`, or no worker is there.
    """
    try:
        client = Client(address, timeout=patience_s, set_as_default=False)
    except (OSError, ValueError) as error:
        raise Unavailable(
            f"--dask {address}: expected a Dask scheduler, none answered in {patience_s:g} s "
            f"({type(error).__name__}); start one by dask scheduler, and workers by dask worker"
        ) from error
    with client, client.as_current():  # LightGBM asks for the current one
        if not client.scheduler_info(n_workers=-1)["workers"]:
            raise Unavailable(f"--dask {address}: expected workers, found none; start dask worker")
        yield client


def grown_there(
    client: Client, fit: Block, tune: Block, names: tuple[str, ...], tasks: Sequence[Task]
) -> list[str]:
    """Trees grown on `fit` by all workers, with the rounds that early stopping on `tune` keeps.

    It saves no time here: the cluster grows all MAX_ROUNDS.
    """
    workers = sorted(client.scheduler_info(n_workers=-1)["workers"])
    x = _dealt(client, workers, fit.x)
    texts = []
    for task in tasks:
        given = {**task.parameters}
        del given["metric"], given["num_threads"]
        # As a regressor also for classes: the classifier numbers them by what each worker sees.
        model = DaskLGBMRegressor(client=client, n_estimators=MAX_ROUNDS, **given)
        target, weight = (_dealt(client, workers, values) for values in task.fit)
        with warnings.catch_warnings(), redirect_stdout(sys.stderr):
            warnings.filterwarnings("ignore", r"Parameter \w+ will be ignored")  # threads: Dask's
            model.fit(
                x, target, sample_weight=weight,
                feature_name=list(names), categorical_feature=categories(names),
            )  # fmt: skip
        losses = _losses(model.booster_, tune.x, *task.tune)
        check_losses("lightgbm", losses)
        best = _best_round(losses, STOP_AFTER)
        texts.append(str(model.booster_.model_to_string(num_iteration=best)))
    return texts


def _dealt(client: Client, workers: list[str], values: Any) -> array.Array:
    """The rows dealt round to the workers, each holding its own."""
    k = len(workers)
    hands = [np.ascontiguousarray(values[i::k]) for i in range(min(k, len(values)))]
    held = [
        client.scatter(hand, workers=[worker], direct=True, hash=False)
        for hand, worker in zip(hands, workers, strict=False)
    ]
    return array.concatenate(
        [
            array.from_delayed(delayed(future), hand.shape, hand.dtype)
            for future, hand in zip(held, hands, strict=True)
        ]
    )


def _losses(grown: lightgbm.Booster, x: Floats, target: Floats | Ints, weight: Floats) -> Floats:
    """The weighted mean loss on the rows after each round."""
    raw: Any = 0.0
    losses = np.empty(grown.current_iteration())
    for i in range(len(losses)):
        raw = raw + grown.predict(x, start_iteration=i, num_iteration=1, raw_score=True)
        losses[i] = np.average(_loss(raw, target), weights=weight)
    return losses


def _loss(raw: Floats, target: Floats | Ints) -> Floats:
    if raw.ndim == 1:
        squared: Floats = (raw - target) ** 2
        return squared
    above = raw - raw.max(axis=1, keepdims=True)
    log_sum: Floats = np.log(np.exp(above).sum(axis=1))
    nats: Floats = log_sum - above[np.arange(len(raw)), target]
    return nats


def _best_round(losses: Floats, stop_after: int) -> int:
    """How many rounds early stopping would have kept."""
    best = 0
    for i in range(len(losses)):
        if losses[i] < losses[best]:
            best = i
        elif i - best >= stop_after:
            break
    return best + 1
