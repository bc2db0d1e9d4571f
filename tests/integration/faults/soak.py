"""`make soak SEEDS=20 MINUTES=30`: the fault matrix over and over, in a table.

`make soak ARGS='--fuzz 100000'`: so many mutants to each input topic instead.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from itertools import product
from pathlib import Path
from typing import Literal

from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from stream.errors import TapewireError
from stream.settings import Settings
from tests.fix_namespace import drop_schema, drop_topics
from tests.integration.faults.cluster import Cluster
from tests.integration.faults.fuzz import fuzz
from tests.integration.faults.matrix import ROLES, SERVERS, broker, pulling, scaling
from tests.integration.faults.outage import outage
from tests.integration.faults.plugs import WAYS
from tests.integration.faults.run import Outcome, run
from tests.stack.addresses import addresses

_STOPPED_S = 20.0
_AWAY_S = 3.0
_LONG_AWAY_S = 600.0
_AFTER_S = 60.0  # of the stream, once a server that was away for long is back
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


def _database_away(settings: Settings, seed: int) -> Outcome:
    def pull(workers: subprocess.Popen[bytes], env: dict[str, str]) -> None:
        seen = outage(settings, workers, _LONG_AWAY_S)
        print(json.dumps(asdict(seen)), file=sys.stderr)
        seen.raise_if_wrong()

    return run(settings, seed, pull, published_s=_LONG_AWAY_S + _AFTER_S)


FAULTS: dict[str, Fault] = {
    **{f"{t} {way}": partial(_pulled, t, way) for t, way in product((*ROLES, *SERVERS), WAYS)},
    **{f"broker {way}": partial(_pulled_broker, 1, way) for way in WAYS},
    **{f"one of three brokers {way}": partial(_pulled_broker, 3, way) for way in WAYS},
    "score workers 1 to 3 to 1": _scaled,
}
LONG: dict[str, Fault] = {"timescale away 10 minutes": _database_away}  # only when asked for


def _fuzz(n: int) -> None:
    """`n` mutants to each input topic; prints what became of them."""
    with tempfile.TemporaryDirectory() as folder, _namespace("live", 1, Path(folder)) as settings:
        own = settings.model_copy(update={"partitions": 2})
        print(json.dumps(asdict(fuzz(own, seed=1, n=n)), indent=2))


@contextmanager
def _namespace(mode: Literal["live", "replay"], n: int, folder: Path) -> Iterator[Settings]:
    """Settings of a namespace of this run's own, gone at the end."""
    stack = addresses()
    namespace = f"soak_{os.getpid()}_{n}"
    settings = Settings(
        broker=stack["TAPEWIRE_BROKER"],
        database=SecretStr(stack["TAPEWIRE_DATABASE"]),
        redis=SecretStr(stack["TAPEWIRE_REDIS"]),
        namespace=namespace,
        mode=mode,
        data_dir=folder,
    )
    try:
        yield settings
    finally:
        drop_topics(settings.broker, namespace)
        drop_schema(stack["TAPEWIRE_DATABASE"], namespace)


def _soak(first: int, seeds: int, minutes: float, only: str) -> bool:
    """Each fault with the first seed, then with the next ..., until seeds or time are spent."""
    until = time.monotonic() + 60 * minutes
    table = Table(title="faults")
    for column in ("fault", "seed", "mode", *Outcome.__dataclass_fields__):
        table.add_column(column.replace("_", " "))
    console = Console(stderr=True)
    wrong = 0
    chosen = {
        name: fault for name, fault in (FAULTS | LONG if only else FAULTS).items() if only in name
    }
    for seed, (name, fault) in product(range(first, first + seeds), chosen.items()):
        if time.monotonic() > until:
            console.print(f"{minutes:g} minutes are over at seed {seed}, {name}")
            break
        mode: Literal["live", "replay"] = "live" if seed % 2 else "replay"
        with (
            tempfile.TemporaryDirectory() as folder,
            _namespace(mode, table.row_count, Path(folder)) as settings,
        ):
            row: list[str] = []
            try:
                outcome = fault(settings, seed)
                row = [str(value) for value in asdict(outcome).values()]
                outcome.raise_if_wrong()
            except (AssertionError, subprocess.SubprocessError, OSError, TapewireError) as error:
                wrong += 1
                console.print(f"{name}, seed {seed}: {error}", markup=False)
            table.add_row(name, str(seed), mode, *row)
        console.print(f"{table.row_count} runs, {wrong} wrong; {name}, seed {seed}: {row}")
    Console().print(table)
    print(f"{table.row_count} runs, {wrong} wrong")
    return wrong == 0 and table.row_count > 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=1, help="seed to begin with")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--only", default="", help="faults whose name has this in it")
    parser.add_argument("--fuzz", type=int, help="instead, so many mutants to each input topic")
    given = parser.parse_args()
    if given.fuzz:
        _fuzz(given.fuzz)
        sys.exit()
    sys.exit(0 if _soak(given.first, given.seeds, given.minutes, given.only) else 1)
