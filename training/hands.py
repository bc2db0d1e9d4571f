"""Work on the partitions of a history side by side, in processes that read one snapshot.

Partitions know nothing of each other: what is found of one hangs neither on the number of
processes nor on the order in which they end.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import NamedTuple, TypeVar

from stream.errors import TapewireError
from training.history import History, Place, open_history

_WORTH_A_PROCESS = 100_000  # inputs; to start one takes as long as to replay a third of them

T = TypeVar("T")
Tell = Callable[[int], None]  # how many inputs of the partition are applied
Work = Callable[[History, int, Tell], T]  # of one partition


class _Found(NamedTuple):
    result: object


def by_partition(
    history: History,
    sizes: Mapping[int, int],
    work: Work[T],
    *,
    jobs: int | None = None,
    progress: Callable[[float], None] = lambda share: None,
    meanwhile: Callable[[], None] = lambda: None,
) -> dict[int, T]:
    """What `work` finds of each partition.

    Parameters
    ----------
    sizes : inputs by partition.
    work : a function of a module, or a partial of one: other processes import it.
    jobs : processes to work in; with 1 it is this one, with None as many as pay off here.
    progress : told which share of the inputs is applied, now and then.
    meanwhile : called once the processes run, for what this one can do by itself.

    Raises
    ------
    TapewireError, OSError
        The first that `work` raised; or a process ended before its time.
    """
    total = max(1, sum(sizes.values()))
    if jobs is None:
        beside_the_largest = total - max(sizes.values(), default=0)
        jobs = min(os.cpu_count() or 1, 1 + beside_the_largest // _WORTH_A_PROCESS)
    applied: Counter[int] = Counter()

    def tell(partition: int, n_applied: int) -> None:
        applied[partition] = n_applied
        progress(min(1.0, applied.total() / total))

    hands = dealt(sizes, jobs)
    if len(hands) > 1:
        with _processes(history.place(), hands, work) as pipes:
            meanwhile()
            found: dict[int, T] = _collected(pipes, tell)
    else:
        meanwhile()
        found = {each: work(history, each, lambda n, p=each: tell(p, n)) for each in sizes}  # type: ignore[misc]
    for partition in sizes:
        if partition not in found:
            raise TapewireError(
                f"partition {partition}: expected what was found of it, its process ended before; "
                "see what ended it, or work in one process with --jobs 1"
            )
    return found


def dealt(sizes: Mapping[int, int], n_hands: int) -> list[list[int]]:
    """Partitions in at most `n_hands` hands of about equal size, each with its largest first."""
    hands: list[list[int]] = [[] for _ in range(min(n_hands, len(sizes)))]

    def load(hand: list[int]) -> tuple[int, int]:
        return sum(sizes[each] for each in hand), len(hand)

    for partition in sorted(sizes, key=lambda each: (-sizes[each], each)):
        min(hands, key=load).append(partition)
    return hands


@contextmanager
def _processes(
    place: Place, hands: Sequence[Sequence[int]], work: Work[T]
) -> Iterator[list[Connection]]:
    """A process for each hand and the pipe it tells through; none outlives the context."""
    context = get_context("spawn")
    with ExitStack() as ends:
        pipes = []
        for hand in hands:
            ours, theirs = context.Pipe(duplex=False)
            pipes.append(ends.enter_context(ours))
            with theirs:
                process = context.Process(target=_work, args=(theirs, place, hand, work))
                process.start()
            ends.callback(process.close)
            ends.callback(process.join)
            ends.callback(process.terminate)
        yield pipes


def _work(pipe: Connection, place: Place, hand: Sequence[int], work: Work[T]) -> None:
    """Work on one partition after the other and tell; the end of whoever listens is ours too."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with suppress(BrokenPipeError):
        try:
            with open_history(*place) as history:
                for each in hand:
                    found = work(history, each, lambda n, p=each: pipe.send((p, n)))  # type: ignore[misc]
                    pipe.send((each, _Found(found)))
        except (TapewireError, OSError) as error:
            pipe.send((None, error))


def _collected(pipes: list[Connection], tell: Callable[[int, int], None]) -> dict[int, T]:
    """What the processes found by partition, until all have ended; the first error is raised."""
    found: dict[int, T] = {}
    while pipes:
        for pipe in wait(pipes):
            assert isinstance(pipe, Connection)
            try:
                partition, told = pipe.recv()
            except EOFError:
                pipes.remove(pipe)
                continue
            if isinstance(told, Exception):
                raise told
            if isinstance(told, _Found):
                found[partition] = told.result  # type: ignore[assignment]
            else:
                tell(partition, told)
    return found
