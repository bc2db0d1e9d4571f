"""Whatever plug is pulled: nothing lost, nothing twice, and `verify` proves it.

Each run pulls several, one after the other; `make soak` has a run for each.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from stream.settings import Settings
from tests.integration.faults.cluster import Cluster
from tests.integration.faults.matrix import (
    ROLES,
    SERVERS,
    broker,
    one_after_the_other,
    pulling,
    scaling,
)
from tests.integration.faults.plugs import WAYS
from tests.integration.faults.run import run

pytestmark = pytest.mark.stack

_STOPPED_S = 7.0  # longer than a session of the group, 6 s
_AWAY_S = 2.0


@pytest.mark.parametrize(("targets", "published_s"), [(ROLES, 66.0), (SERVERS, 30.0)])
def test_pulled_plugs_lose_and_repeat_nothing(
    settings: Callable[..., Settings], targets: tuple[str, ...], published_s: float
) -> None:
    pulls = [pulling(target, way, _STOPPED_S) for target, way in product(targets, WAYS)]
    pull = one_after_the_other(1, pulls)
    run(settings(mode="live"), 1, pull, published_s=published_s).raise_if_wrong()


@pytest.mark.parametrize("n_brokers", [1, 3])
def test_pulled_brokers_lose_and_repeat_nothing(
    settings: Callable[..., Settings], tmp_path: Path, n_brokers: int
) -> None:
    with Cluster(tmp_path, n_brokers) as cluster:
        mine = settings(mode="live", broker=cluster.bootstrap, replication=n_brokers)
        away = {way: _STOPPED_S if way == "stop" else _AWAY_S for way in WAYS}
        pull = one_after_the_other(1, [broker(cluster, way, away[way]) for way in WAYS])
        run(mine, 1, pull, published_s=30.0).raise_if_wrong()


def test_workers_come_and_go_under_load(settings: Callable[..., Settings]) -> None:
    run(settings(mode="replay"), 1, scaling).raise_if_wrong()


@pytest.mark.parametrize("sabotage", ["acknowledge_before_send", "skip_a_slot"])
def test_a_broken_engine_is_found_out(settings: Callable[..., Settings], sabotage: str) -> None:
    kill = pulling("score", "kill", _STOPPED_S)
    outcome = run(settings(mode="live"), 1, kill, sabotage=sabotage)
    with pytest.raises(AssertionError, match="'lost'"):
        outcome.raise_if_wrong()
