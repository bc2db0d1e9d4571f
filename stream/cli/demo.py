"""`tapewire demo`: the whole job on one machine, from nothing to signals in SQL."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from stream.cli.extras import needs
from stream.cli.last_demo import remember
from stream.cli.process import EXIT_INTERRUPTED
from stream.cli.progress import load_progress
from stream.cli.role import role_command
from stream.datasets.dataset import Dataset
from stream.settings import Settings, read_settings

if TYPE_CHECKING:
    from stream.embedded.services import Services

TRAIN_SHARE = 0.7  # of the dataset's time, before the model is trained
_ROLES = ("sentiment", "score", "market", "archive", "explain")
_CHECK_S = 1.0

console = Console(stderr=True, highlight=False)


def demo(
    data: Annotated[
        Path | None, typer.Option(help="A recorded dataset (docs/datasets.md); else synthetic.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the synthetic market.")] = 7,
    effect: Annotated[float, typer.Option(help="Planted news effect; 0 plants none.")] = 1.0,
    symbols: Annotated[int, typer.Option(min=1, max=500, help="Synthetic symbols.")] = 12,
    sessions: Annotated[int, typer.Option(min=2, max=200, help="Synthetic sessions.")] = 12,
    as_json: Annotated[
        Path | None, typer.Option("--json", help="Write the summary to this file.")
    ] = None,
) -> None:
    """Stream a market through every role, train on its first 70 %, score the rest, show SQL.

    Without TAPEWIRE_BROKER everything runs on embedded servers under .tapewire/.

    Example: tapewire demo --effect 0 --json summary.json
    """
    from stream.cli.demo_report import print_summary

    for stop in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(stop, _interrupt)
    with needs("demo", "train"):
        import training.retrain  # noqa: F401 - else it would be missed after minutes
    planted = None
    if data is None:
        from stream.datasets.synthetic import generate

        console.print(f"making a synthetic market: {symbols} symbols, {sessions} sessions")
        dataset: Dataset = generate(seed, effect, n_symbols=symbols, n_sessions=sessions)
        if effect:
            planted = f"a synthetic market, with a news effect of {effect:g} planted"
    else:
        from stream.datasets.recorded import open_dataset

        dataset = open_dataset(data)
    summary = _run(dataset, planted)
    if as_json is not None:
        as_json.write_text(json.dumps(summary, indent=2) + "\n")
    print_summary(summary)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _run(dataset: Dataset, planted: str | None) -> dict[str, Any]:
    began = time.perf_counter()
    namespace = f"demo_{datetime.now(UTC):%Y%m%d_%H%M%S}_{os.getpid() % 1000:03d}"
    with _servers() as services:
        os.environ.update(services.environment() if services else {})
        os.environ.update(
            TAPEWIRE_NAMESPACE=namespace,
            TAPEWIRE_MODE="replay",
            TAPEWIRE_FEATURE_SET=dataset.feature_set,
            TAPEWIRE_TAPE=dataset.tape,
        )
        settings = read_settings()
        remember(settings, services.postgres_dir if services else None)
        elapsed = {"start": time.perf_counter() - began}
        check = services.check if services else lambda: None
        return asyncio.run(_stream(settings, dataset, planted, elapsed, check))


@contextlib.contextmanager
def _servers() -> Iterator[Services | None]:
    """The embedded servers, or None where TAPEWIRE_BROKER names real ones."""
    if "broker" in read_settings().model_fields_set:
        yield None
        return
    from stream.embedded.services import start_embedded

    folder = read_settings().data_dir
    console.print(f"starting the embedded broker, PostgreSQL and Valkey under {folder}/")
    with start_embedded(folder) as services:
        yield services


async def _stream(
    settings: Settings,
    dataset: Dataset,
    planted: str | None,
    elapsed: dict[str, float],
    check: Callable[[], None],
) -> dict[str, Any]:
    from stream.archive.migrate import migrate
    from stream.cli.demo_report import Watcher, count_rows
    from stream.datasets.loader import load, wait_drained
    from stream.engine.topics import create_topics

    clock = time.perf_counter
    await create_topics(settings)
    await asyncio.to_thread(migrate, settings.database.get_secret_value(), settings.namespace)
    stop = asyncio.Event()
    roles = asyncio.create_task(_roles(stop, check), name="roles")
    watcher = Watcher(settings)
    try:
        first, last = dataset.span
        cut = first + int((last - first) * TRAIN_SHARE)
        began = clock()
        with load_progress(f"{dataset.name}: history") as progress:
            history = await _beside(roles, load(settings, dataset, until_us=cut, progress=progress))
            await _beside(roles, wait_drained(settings))
        elapsed["history"] = clock() - began

        began = clock()
        trained = await _beside(roles, asyncio.to_thread(_train, settings, planted))
        elapsed["train"] = clock() - began

        began = clock()
        watching = asyncio.create_task(watcher.run())
        with load_progress(f"{dataset.name}: live") as progress:
            live = await _beside(
                roles,
                load(
                    settings,
                    dataset,
                    from_us=cut,
                    progress=progress,
                    published=watcher.published,
                ),
            )
            await _beside(roles, wait_drained(settings))
        elapsed["live"] = clock() - began
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
        rows = await asyncio.to_thread(count_rows, settings)
    finally:
        stop.set()
        await asyncio.wait({roles}, timeout=5)
    events_in = {
        topic: history.events_in.get(topic, 0) + live.events_in.get(topic, 0)
        for topic in sorted({*history.events_in, *live.events_in})
    }
    return {
        "dataset": dataset.name,
        "namespace": settings.namespace,
        "events_in": events_in,
        **rows,
        "model_version": trained["version"],
        "model_refused": trained["refused"],
        "metrics": trained["metrics"],
        "latency_ms": {"tick_to_signal": watcher.latency_ms()},
        "elapsed_s": {name: round(seconds, 1) for name, seconds in elapsed.items()},
    }


async def _roles(stop: asyncio.Event, check: Callable[[], None]) -> int:
    """All roles until `stop`; raises what `check` does when a server of ours has ended."""
    from stream.engine.supervisor import supervise

    commands = {role: role_command(role) for role in _ROLES}
    running = asyncio.create_task(supervise(commands, stop=stop))
    try:
        while not running.done():
            await asyncio.wait({running}, timeout=_CHECK_S)
            check()
    finally:
        stop.set()
        await asyncio.wait({running})
    return running.result()


async def _beside(roles: asyncio.Task[int], work: Any) -> Any:
    """The result of `work`; ends the demo when the roles do: by Ctrl-C, or with their error."""
    task = asyncio.ensure_future(work)
    await asyncio.wait({task, roles}, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        return task.result()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    roles.result()
    raise typer.Exit(EXIT_INTERRUPTED)


def _train(settings: Settings, planted: str | None) -> dict[str, Any]:
    """Promote with the two allowances that a demo needs, and say so."""
    from stream.cli.learn import ModelRefused, retrain_and_announce

    allowed = "promoting if only history is wanting (--short-history)"
    if planted is not None:
        allowed += f", though it looks too good (--accept-implausible {planted!r})"
    console.print(allowed, markup=False)
    try:
        result = retrain_and_announce(
            settings, promote=True, seed=0, short_history=True, accept=planted
        )
    except ModelRefused as refused:
        console.print(f"{refused}; going on with the rules model", markup=False)
        return {"version": "rules-1", "refused": str(refused), "metrics": {}}
    told = f"champion is {result['version']}: {result['verdict']} {result['reason']}"
    console.print(told.strip(), markup=False)
    return {"version": result["version"], "refused": None, "metrics": result["metrics"]}
