"""`make soak SEEDS=20 MINUTES=30`: the fault matrix over and over, in a table."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from itertools import product
from pathlib import Path

from rich.console import Console
from rich.table import Table

from stream.settings import Settings
from tests.fix_namespace import drop_schema, drop_topics
from tests.integration.faults.cluster import Cluster
from tests.integration.faults.matrix import ROLES, SERVERS, broker, pulling, scaling
from tests.integration.faults.plugs import WAYS
from tests.integration.faults.run import Outcome, run
from tests.stack.addresses import addresses

_STOPPED_S = 20.0
_AWAY_S = 3.0
Fault = Callable[[Settings, int], Outcome]


def _pulled(target: str, way: str, settings: Settings, seed: int) -> Outcome:
    return run(settings, seed, pulling(target, way, _STOPPED_S))


def _pulled_broker(n: int, way: str, settings: Settings, seed: int) -> Outcome:
    away_s = _STOPPED_S if way == "stop" else _AWAY_S
    with tempfile.TemporaryDirectory() as folder, Cluster(Path(folder), n) as cluster:
        own = settings.model_copy(update={"broker": cluster.bootstrap, "replication": n})
        return run(own, seed, broker(cluster, way, away_s))


def _scaled(settings: Settings, seed: int) -> Outcome:
    return run(settings, seed, scaling)


FAULTS: dict[str, Fault] = {
    **{f"{t} {way}": partial(_pulled, t, way) for t, way in product((*ROLES, *SERVERS), WAYS)},
    **{f"broker {way}": partial(_pulled_broker, 1, way) for way in WAYS},
    **{f"one of three brokers {way}": partial(_pulled_broker, 3, way) for way in WAYS},
    "score workers 1 to 3 to 1": _scaled,
}


def _soak(seeds: int, minutes: float, only: str) -> bool:
    """Each fault with seed 1, then each with seed 2 ..., until seeds or time are spent."""
    stack = addresses()
    until = time.monotonic() + 60 * minutes
    table = Table(title="faults")
    for column in ("fault", "seed", "mode", *Outcome.__dataclass_fields__):
        table.add_column(column.replace("_", " "))
    console = Console(stderr=True)
    wrong = 0
    for seed, (name, fault) in product(range(1, seeds + 1), FAULTS.items()):
        if only not in name:
            continue
        if time.monotonic() > until:
            console.print(f"{minutes:g} minutes are over at seed {seed}, {name}")
            break
        mode = "live" if seed % 2 else "replay"
        namespace = f"soak_{os.getpid()}_{table.row_count}"
        with tempfile.TemporaryDirectory() as folder:
            settings = Settings(
                broker=stack["TAPEWIRE_BROKER"],
                database=stack["TAPEWIRE_DATABASE"],  # type: ignore[arg-type]
                redis=stack["TAPEWIRE_REDIS"],  # type: ignore[arg-type]
                namespace=namespace,
                mode=mode,  # type: ignore[arg-type]
                data_dir=Path(folder),
            )
            row: list[str] = []
            try:
                outcome = fault(settings, seed)
                row = [str(value) for value in asdict(outcome).values()]
                outcome.raise_if_wrong()
            except (AssertionError, subprocess.SubprocessError, OSError) as error:
                wrong += 1
                console.print(f"{name}, seed {seed}: {error}", markup=False)
            table.add_row(name, str(seed), mode, *row)
        drop_topics(stack["TAPEWIRE_BROKER"], namespace)
        drop_schema(stack["TAPEWIRE_DATABASE"], namespace)
        console.print(f"{table.row_count} runs, {wrong} wrong; {name}, seed {seed}: {row}")
    Console().print(table)
    print(f"{table.row_count} runs, {wrong} wrong")
    return wrong == 0 and table.row_count > 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--only", default="", help="faults whose name has this in it")
    given = parser.parse_args()
    sys.exit(0 if _soak(given.seeds, given.minutes, given.only) else 1)
