"""Peak memory of `score` with 500 symbols whose windows are full."""

from __future__ import annotations

from stream.datasets.synthetic import generate
from tests.bench.workload import namespace, publish, rates_to_the_end, resident_mb, roles

N_SYMBOLS = 500
N_SESSIONS = 2  # one fills the four hours of panes that a vector reaches back


def run(stack: dict[str, str]) -> dict[str, object]:
    """Megabytes after a synthetic market of N_SESSIONS, and its ticks a second."""
    settings = namespace(stack)
    n_ticks = publish(settings, generate(7, 1.0, n_symbols=N_SYMBOLS, n_sessions=N_SESSIONS))
    with roles(settings, "score") as pids:
        (rate,) = rates_to_the_end(settings, [settings.group("score")], "ticks")
        peak = resident_mb(pids[0])
    return {
        "symbols": N_SYMBOLS,
        "ticks": n_ticks,
        "ticks_per_s": round(rate),
        "score_peak_mb": round(peak),
    }
