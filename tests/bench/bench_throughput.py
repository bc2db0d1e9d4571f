"""Ticks a second through `score` over real trades: alone, with the archive, and stock Faust."""

from __future__ import annotations

import statistics
import sys

from tests.bench.workload import namespace, preload, rates_to_the_end, resident_mb, roles

N_TICKS = 400_000
N_STOCK = 40_000
RUNS = 3


def run(stack: dict[str, str]) -> dict[str, object]:
    """Medians of RUNS; the ratio is engine over stock agent, both without archive."""
    alone, both, stock, peak = [], [], [], 0.0
    for _ in range(RUNS):
        settings = namespace(stack)
        preload(settings, N_TICKS)
        with roles(settings, "score") as pids:
            alone += rates_to_the_end(settings, [settings.group("score")], "ticks")
            peak = max(peak, resident_mb(pids[0]))

        settings = namespace(stack)
        preload(settings, N_TICKS)
        with roles(settings, "score", "archive"):
            groups = [settings.group(role) for role in ("score", "archive")]
            both.append(rates_to_the_end(settings, groups, "ticks"))

        settings = namespace(stack)
        preload(settings, N_STOCK)
        command = [sys.executable, "-m", "tests.bench.stock_agent"]
        with roles(settings, "stock", command=command):
            stock += rates_to_the_end(settings, [settings.group("stock")], "ticks")
    return {
        "score_ticks_per_s": round(statistics.median(alone)),
        "score_beside_archive_ticks_per_s": round(statistics.median(score for score, _ in both)),
        "archive_ticks_per_s": round(statistics.median(archive for _, archive in both)),
        "stock_faust_ticks_per_s": round(statistics.median(stock)),
        "ratio_to_stock": round(statistics.median(alone) / statistics.median(stock), 1),
        "score_peak_mb": round(peak),
        "runs": {"score": alone, "with_archive": both, "stock": stock},
    }
