"""`make bench`: every benchmark on real servers of this machine, one JSON object on stdout.

Each module `bench_*.py` has `run(stack) -> dict`; name some to run only those.
"""

from __future__ import annotations

import importlib
import json
import pathlib
import platform
import sys

from tests.stack.addresses import addresses

HERE = pathlib.Path(__file__).parent


def main() -> None:
    """Run the named benchmarks, or all."""
    every = sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))
    chosen = sys.argv[1:] or every
    if unknown := set(chosen) - set(every):
        sys.exit(f"expected some of {', '.join(every)}, got {', '.join(sorted(unknown))}")
    stack = addresses()
    results: dict[str, object] = {
        "machine": {"cpu": platform.processor() or platform.machine(), "python": sys.version[:7]}
    }
    for name in chosen:
        print(f"bench {name} ...", file=sys.stderr, flush=True)
        results[name] = importlib.import_module(f"tests.bench.bench_{name}").run(stack)
        print(json.dumps(results[name]), file=sys.stderr, flush=True)
    print(json.dumps(results, indent=2))


main()
