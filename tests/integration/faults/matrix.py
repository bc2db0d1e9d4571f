"""The faults: who is hit and how."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

from tests.integration.faults.cluster import Cluster
from tests.integration.faults.plugs import RolePlug, ServerPlug
from tests.integration.faults.run import Pull

ROLES = ("sentiment", "score", "market", "archive")
SERVERS = ("timescale", "valkey")
_APART_S = (1.0, 3.0)


def pulling(target: str, way: str, stopped_s: float) -> Pull:
    """Kill, end or stop one role or server."""

    def pull(workers: subprocess.Popen[bytes], env: dict[str, str]) -> None:
        plug = RolePlug(workers.pid, target, env) if target in ROLES else ServerPlug(target)
        try:
            plug.pull(way, stopped_s)
        finally:
            plug.end()

    return pull


def broker(cluster: Cluster, way: str, away_s: float) -> Pull:
    """Kill, end or stop the first broker of a cluster."""

    def pull(workers: subprocess.Popen[bytes], env: dict[str, str]) -> None:
        cluster.pull(way, away_s)

    return pull


def one_after_the_other(seed: int, pulls: Sequence[Pull]) -> Pull:
    """All of them, in a seeded order, a seeded moment apart."""
    rng = random.Random(seed)

    def pull(workers: subprocess.Popen[bytes], env: dict[str, str]) -> None:
        for each in rng.sample(pulls, len(pulls)):
            each(workers, env)
            time.sleep(rng.uniform(*_APART_S))

    return pull


def scaling(workers: subprocess.Popen[bytes], env: dict[str, str]) -> None:
    """1 -> 3 -> 1 score workers: one of the new ones is asked to go, the other killed."""
    command = [sys.executable, "-m", "stream.cli", "worker", "--role", "score"]
    new = [subprocess.Popen(command, env=env) for _ in range(2)]
    time.sleep(5.0)
    new[0].send_signal(signal.SIGTERM)
    time.sleep(1.0)
    new[1].kill()
    for process in new:
        process.wait(15)
