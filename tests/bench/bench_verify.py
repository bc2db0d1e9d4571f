"""`tapewire verify` over real trades that real roles have scored and archived."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any

from stream.settings import Settings
from tests.bench.workload import namespace, preload, rates_to_the_end, resident_mb, roles

N_TICKS = 400_000
RUNS = 3
LIMIT_S = 900


def run(stack: dict[str, str]) -> dict[str, object]:
    """Inputs a second of wall and of CPU time, start and reading included, and peak memory."""
    settings = namespace(stack)
    return verified(settings, preload(settings, N_TICKS), RUNS)


def verified(settings: Settings, n_ticks: int, runs: int) -> dict[str, object]:
    """The medians of so many runs, once the roles have read the ticks that are on the topic."""
    with roles(settings, "score", "archive"):
        rates_to_the_end(settings, [settings.group("score")], "ticks", limit_s=LIMIT_S)
        for topic in ("ticks", "signals"):
            rates_to_the_end(settings, [settings.group("archive")], topic, limit_s=LIMIT_S)
    found = [_verify(settings) for _ in range(runs)]
    reports = [report for report, *_ in found]
    assert all(report["proven"] and not report["pending"] for report in reports), reports
    inputs = reports[0]["inputs"]
    wall_s, cpu_s = (statistics.median(each[i] for each in found) for i in (1, 2))
    return {
        "ticks": n_ticks,
        "inputs": inputs,
        "signals": reports[0]["equal"],
        "inputs_per_s": round(inputs / wall_s),
        "inputs_per_cpu_s": round(inputs / cpu_s),
        "peak_mb": round(max(peak_mb for *_, peak_mb in found)),
    }


def _verify(settings: Settings) -> tuple[dict[str, Any], float, float, float]:
    """Report, wall and CPU seconds, and the main process's peak memory."""
    env = {
        **os.environ,
        "TAPEWIRE_BROKER": settings.broker,
        "TAPEWIRE_DATABASE": settings.database.get_secret_value(),
        "TAPEWIRE_NAMESPACE": settings.namespace,
    }
    before, began, peak_mb = os.times(), time.perf_counter(), 0.0
    command = [sys.executable, "-m", "stream.cli", "verify", "--json"]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            with suppress(ProcessLookupError):
                peak_mb = max(peak_mb, resident_mb(process.pid))
            time.sleep(0.05)
        wall_s, after = time.perf_counter() - began, os.times()
        report = json.loads(process.communicate()[0])
    cpu_s = after.children_user + after.children_system
    cpu_s -= before.children_user + before.children_system
    return report, wall_s, cpu_s, peak_mb
