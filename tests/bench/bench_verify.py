"""`tapewire verify` over real trades that real roles have scored and archived."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time

from stream.settings import Settings
from tests.bench.workload import namespace, preload, rates_to_the_end, roles

N_TICKS = 400_000
RUNS = 3


def run(stack: dict[str, str]) -> dict[str, object]:
    """Inputs a second of wall and of CPU time, start and reading included."""
    settings = namespace(stack)
    n_ticks = preload(settings, N_TICKS)
    with roles(settings, "score", "archive"):
        rates_to_the_end(settings, [settings.group("score")], "ticks")
        rates_to_the_end(settings, [settings.group("archive")], "signals")
    found = [_verify(settings) for _ in range(RUNS)]
    reports = [report for report, _, _ in found]
    assert all(report["proven"] for report in reports), reports
    inputs = reports[0]["inputs"]
    wall_s = statistics.median(wall for _, wall, _ in found)
    cpu_s = statistics.median(cpu for _, _, cpu in found)
    return {
        "ticks": n_ticks,
        "inputs": inputs,
        "signals": reports[0]["equal"],
        "inputs_per_s": round(inputs / wall_s),
        "inputs_per_cpu_s": round(inputs / cpu_s),
    }


def _verify(settings: Settings) -> tuple[dict[str, object], float, float]:
    env = {
        **os.environ,
        "TAPEWIRE_BROKER": settings.broker,
        "TAPEWIRE_DATABASE": settings.database.get_secret_value(),
        "TAPEWIRE_NAMESPACE": settings.namespace,
    }
    before, began = os.times(), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "stream.cli", "verify", "--json"],
        env=env,
        stdout=subprocess.PIPE,
        check=True,
    )
    wall_s, after = time.perf_counter() - began, os.times()
    cpu_s = after.children_user + after.children_system
    return json.loads(done.stdout), wall_s, cpu_s - before.children_user - before.children_system
