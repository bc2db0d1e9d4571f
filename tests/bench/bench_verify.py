"""`tapewire verify` over real trades that real roles have scored and archived."""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from typing import Any

from stream.settings import Settings
from tests.bench.workload import namespace, preload, rates_to_the_end, roles

N_TICKS = 400_000
RUNS = 3


def run(stack: dict[str, str]) -> dict[str, object]:
    """Inputs a second of wall and of CPU time, start and reading included, and peak memory."""
    settings = namespace(stack)
    n_ticks = preload(settings, N_TICKS)
    with roles(settings, "score", "archive"):
        rates_to_the_end(settings, [settings.group("score")], "ticks")
        rates_to_the_end(settings, [settings.group("archive")], "signals")
    found = [_verify(settings) for _ in range(RUNS)]
    reports = [report for report, _, _ in found]
    assert all(report["proven"] for report in reports), reports
    inputs = reports[0]["inputs"]
    wall_s = statistics.median(wall_s for _, wall_s, _ in found)
    cpu_s = statistics.median(used.ru_utime + used.ru_stime for _, _, used in found)
    return {
        "ticks": n_ticks,
        "inputs": inputs,
        "signals": reports[0]["equal"],
        "inputs_per_s": round(inputs / wall_s),
        "inputs_per_cpu_s": round(inputs / cpu_s),
        "peak_mb": round(max(used.ru_maxrss for _, _, used in found) / 1024),
    }


def _verify(settings: Settings) -> tuple[dict[str, Any], float, resource.struct_rusage]:
    """Report, wall seconds, and what the process and its own used; memory is the largest one's."""
    env = {
        **os.environ,
        "TAPEWIRE_BROKER": settings.broker,
        "TAPEWIRE_DATABASE": settings.database.get_secret_value(),
        "TAPEWIRE_NAMESPACE": settings.namespace,
    }
    began = time.perf_counter()
    command = [sys.executable, "-m", "stream.cli", "verify", "--json"]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        report = json.loads(process.stdout.read())
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return report, time.perf_counter() - began, used
