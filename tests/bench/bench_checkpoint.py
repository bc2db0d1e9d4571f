"""What checkpoints cost `score`: its rate as it is against one that commits nothing.

Both send the same signals (counted). `cost_percent` is the median over pairs of adjacent runs,
which share the machine's load; medians of each side alone mix loads, and can come out negative.
"""

from __future__ import annotations

import statistics
import sys

from tests.bench.workload import (
    namespace,
    preload,
    rate_and_cpu,
    read_topic,
    records_in,
    roles,
)

N_TICKS = 200_000
RUNS = 7
WITHOUT = [sys.executable, "-m", "tests.bench.never_checkpoints", "worker", "--role", "score"]
COMMANDS = {"with": None, "without": WITHOUT}


def run(stack: dict[str, str]) -> dict[str, object]:
    """Medians of RUNS. Raises ValueError where the two did not do the same work."""
    rates: dict[str, list[float]] = {name: [] for name in COMMANDS}
    cpu: dict[str, list[float]] = {name: [] for name in COMMANDS}
    signals: set[int] = set()
    n_state = 0
    for i in range(RUNS):
        for name in list(COMMANDS) if i % 2 == 0 else reversed(COMMANDS):
            settings = namespace(stack)
            preload(settings, N_TICKS)
            n_records = records_in(settings, settings.topic("ticks"))
            with roles(settings, "score", command=COMMANDS[name]) as pids:
                rate, cpu_us = rate_and_cpu(
                    settings, settings.group("score"), "ticks", n_records, pids[0]
                )
            rates[name].append(rate)
            cpu[name].append(cpu_us)
            committed = name == "with"
            sent = read_topic(settings, settings.topic("signals"), committed=committed)
            signals.add(len(sent))
            n_state = records_in(settings, settings.topic("score-state"))
            if (n_state > 0) != committed:
                raise ValueError(f"{name} checkpoints: got {n_state} records of state")
    if len(signals) != 1:
        raise ValueError(f"expected as many signals from both, got {sorted(signals)}")
    return {
        "cost_percent": _cost(rates, of_pairs=True),
        "cost_percent_of_medians": _cost(rates, of_pairs=False),
        "cost_percent_by_pair": [round(one, 1) for one in _pairs(rates)],
        "ticks_per_s": {name: round(statistics.median(all_)) for name, all_ in rates.items()},
        "cpu_us_per_tick": {n: round(statistics.median(all_), 1) for n, all_ in cpu.items()},
        "cpu_cost_percent_by_pair": [
            round(100 * (a / b - 1), 1) for a, b in zip(cpu["with"], cpu["without"], strict=True)
        ],
        "signals": signals.pop(),
        "runs": {name: [round(one) for one in all_] for name, all_ in rates.items()},
    }


def _pairs(rates: dict[str, list[float]]) -> list[float]:
    """Percent of throughput lost, for each two runs that followed each other."""
    return [100 * (1 - a / b) for a, b in zip(rates["with"], rates["without"], strict=True)]


def _cost(rates: dict[str, list[float]], *, of_pairs: bool) -> float:
    if of_pairs:
        return round(statistics.median(_pairs(rates)), 1)
    one, other = (statistics.median(rates[name]) for name in ("with", "without"))
    return round(100 * (1 - one / other), 1)
