"""Live = replay: every stored signal made again from its recorded inputs, partition by partition.

Partitions know nothing of each other, so they are compared side by side, in processes that read one
snapshot. The report is put together in the partitions' order and is the same for any number.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Any

import msgspec

from models.artifact import ArtifactError
from models.registry import Registry
from models.scorer import ArtifactScorer, Scorer
from stream.errors import Refused, TapewireError
from stream.scoring.build import this_build
from training.comparison import Comparison
from training.history import History, Place, open_history
from training.proof import Chosen, Report

_WORTH_A_PROCESS = 100_000  # inputs; to start one takes as long as to replay a third of them
Tell = Callable[[int, int], None]  # the partition and how many of its inputs are applied


def verify(
    history: History,
    chosen: Chosen,
    *,
    jobs: int | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> Report:
    """Replay every partition that holds signals and compare those that are chosen.

    Parameters
    ----------
    jobs : processes to replay in; with 1 it is this one, with None as many as pay off here.
    progress : told which share of the inputs is applied, now and then.

    Raises
    ------
    Refused
        A stored signal names a policy that the table `policies` does not hold.
    """
    events = history.events_by_partition()
    sizes = {partition: events[partition] for partition in history.signal_partitions()}
    total = max(1, sum(sizes.values()))
    if jobs is None:
        beside_the_largest = total - max(sizes.values(), default=0)
        jobs = min(os.cpu_count() or 1, 1 + beside_the_largest // _WORTH_A_PROCESS)
    applied: Counter[int] = Counter()

    def tell(partition: int, n_applied: int) -> None:
        applied[partition] = n_applied
        progress(min(1.0, applied.total() / total))

    report = Report(builds=_other_builds(history.builds()))
    hands = dealt(sizes, jobs)
    if len(hands) > 1:
        with _processes(history.place(), hands, chosen) as pipes:
            report.accounts = history.accounts()
            found = _collected(pipes, tell)
    else:
        report.accounts = history.accounts()
        found = {each: _compared(history, each, chosen, tell) for each in sizes}
    for partition in sizes:
        if partition not in found:
            raise TapewireError(
                f"partition {partition}: expected its comparison, its process ended before; "
                "see what ended it, or replay in one process with --jobs 1"
            )
        report.add(found[partition])
    return report


def dealt(sizes: Mapping[int, int], n_hands: int) -> list[list[int]]:
    """Partitions in at most `n_hands` hands of about equal size, each with its largest first."""
    hands: list[list[int]] = [[] for _ in range(min(n_hands, len(sizes)))]

    def load(hand: list[int]) -> tuple[int, int]:
        return sum(sizes[each] for each in hand), len(hand)

    for partition in sorted(sizes, key=lambda each: (-sizes[each], each)):
        min(hands, key=load).append(partition)
    return hands


def _compared(history: History, partition: int, chosen: Chosen, tell: Tell) -> Report:
    registry = Registry(history.dsn, history.schema)

    def load(version: str) -> Scorer:
        try:
            return ArtifactScorer(registry.load(version))
        except ArtifactError as error:
            raise Refused(f"model {version}: {error}") from error

    return Comparison(history, partition, load, partial(tell, partition)).compare(chosen)


@contextmanager
def _processes(
    place: Place, hands: Sequence[Sequence[int]], chosen: Chosen
) -> Iterator[list[Connection]]:
    """A process for each hand and the pipe it tells through; none outlives the context."""
    context = get_context("spawn")
    with ExitStack() as ends:
        pipes = []
        for hand in hands:
            ours, theirs = context.Pipe(duplex=False)
            pipes.append(ends.enter_context(ours))
            with theirs:
                process = context.Process(target=_replay, args=(theirs, place, hand, chosen))
                process.start()
            ends.callback(process.close)
            ends.callback(process.join)
            ends.callback(process.terminate)
        yield pipes


def _replay(pipe: Connection, place: Place, hand: Sequence[int], chosen: Chosen) -> None:
    """Compare one partition after the other and tell; the end of whoever listens is ours too."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with suppress(BrokenPipeError):
        try:
            with open_history(*place) as history:
                for partition in hand:
                    report = _compared(history, partition, chosen, lambda *told: pipe.send(told))
                    pipe.send((partition, report))
        except TapewireError as error:
            pipe.send((None, error))


def _collected(pipes: list[Connection], tell: Tell) -> dict[int, Report]:
    """What the processes found by partition, until all have ended; the first error is raised."""
    found: dict[int, Report] = {}
    while pipes:
        for pipe in wait(pipes):
            assert isinstance(pipe, Connection)
            try:
                partition, told = pipe.recv()
            except EOFError:
                pipes.remove(pipe)
                continue
            if isinstance(told, TapewireError):
                raise told
            if isinstance(told, Report):
                found[partition] = told
            else:
                tell(partition, told)
    return found


def _other_builds(recorded: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    here = msgspec.to_builtins(this_build())
    return {
        build_id: "; ".join(
            f"{name}: {build.get(name)}, here {mine}"
            for name, mine in here.items()
            if build.get(name) != mine
        )
        for build_id, build in recorded.items()
        if build_id != this_build().build_id
    }
