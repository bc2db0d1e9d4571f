"""Whatever plug is pulled: nothing lost, nothing twice, and `verify` proves it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from stream.settings import Settings
from tests.integration.faults.cluster import Cluster
from tests.integration.faults.matrix import ROLES, SERVERS, broker, pulling, scaling
from tests.integration.faults.plugs import WAYS
from tests.integration.faults.run import run

pytestmark = pytest.mark.stack

_STOPPED_S = 8.0  # longer than a session of the group, 6 s


@pytest.mark.parametrize(("target", "way"), list(product((*ROLES, *SERVERS), WAYS)))
def test_pulled_plug_loses_and_repeats_nothing(
    settings: Callable[..., Settings], target: str, way: str
) -> None:
    run(settings(mode="live"), 1, pulling(target, way, _STOPPED_S)).raise_if_wrong()


@pytest.mark.parametrize(("n_brokers", "way"), list(product((1, 3), WAYS)))
def test_pulled_broker_loses_and_repeats_nothing(
    settings: Callable[..., Settings], tmp_path: Path, n_brokers: int, way: str
) -> None:
    with Cluster(tmp_path, n_brokers) as cluster:
        mine = settings(mode="live", broker=cluster.bootstrap, replication=n_brokers)
        away_s = _STOPPED_S if way == "stop" else 2.0
        run(mine, 1, broker(cluster, way, away_s)).raise_if_wrong()


def test_workers_come_and_go_under_load(settings: Callable[..., Settings]) -> None:
    run(settings(mode="live"), 1, scaling).raise_if_wrong()


@pytest.mark.parametrize("sabotage", ["acknowledge_before_send", "skip_a_slot"])
def test_a_broken_engine_is_found_out(settings: Callable[..., Settings], sabotage: str) -> None:
    outcome = run(settings(mode="live"), 1, pulling("score", "kill", _STOPPED_S), sabotage)
    assert (outcome.exit_code, outcome.unproven > 0) == (1, True), outcome
