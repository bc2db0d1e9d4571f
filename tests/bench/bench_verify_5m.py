"""`tapewire verify` over five million ticks: five days of real trades, each symbol's tape twice."""

from __future__ import annotations

from tests.bench.bench_verify import verified
from tests.bench.workload import dataset_of_ticks, namespace, publish, twinned

N_TICKS = 5_000_000


def run(stack: dict[str, str]) -> dict[str, object]:
    """As the shorter one, of one run."""
    settings = namespace(stack)
    dataset, until = dataset_of_ticks(N_TICKS // 2)
    return verified(settings, publish(settings, twinned(dataset), until), runs=1)
