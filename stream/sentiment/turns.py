"""One thread for the text work of a process: fresh news first, then first come, a slice at a time.

A chunk waits in a thread of its own and does its reading and scoring through `Turns.map`, which
cuts the work into slices of about SLICE_S. So a fresh headline waits for at most the slice that
runs, whatever the partitions beside it catch up on. The order of the work hangs on the wall clock;
no result does: a text's score never hangs on the texts beside it.
"""

from __future__ import annotations

import asyncio
import heapq
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, Self, TypeVar

from models.sentiment.model import Probabilities, SentimentModel, label
from stream.sentiment.wrapped import Wrapped

SLICE_S = 0.005
MAX_CHUNKS = 128  # that wait at a time, one a partition; each has one piece of work in the queue
_LEARNS = 0.3  # weight of the newest slice in a kind's time per item
T = TypeVar("T")
R = TypeVar("R")


class Dropped(BaseException):
    """Nobody waits for the work any more; no Exception, which would count as a model's failure."""


class Claim:
    """What a chunk's work goes by."""

    def __init__(self, *, fresh: bool) -> None:
        self.fresh = fresh
        self.is_dropped = False


class _Work(NamedTuple):
    is_backfill: bool
    number: int  # the first come is the lowest; no two are equal
    kind: str
    call: Callable[[Sequence[Any]], list[Any]]
    items: Sequence[Any]
    found: list[Any]
    claim: Claim
    done: Future[list[Any]]


class Turns:
    """The line of work, to be closed at the end.

    Parameters
    ----------
    slice_s : how long a slice should take; it has one item at least.
    clock : seconds that only rise.
    """

    def __init__(
        self, *, slice_s: float = SLICE_S, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._slice_s = slice_s
        self._clock = clock
        self._item_s: dict[str, float] = {}  # by kind of work, a running estimate
        self._n: dict[str, int] = {}  # items of the kind's next slice
        self._line: list[_Work] = []  # a heap
        self._number = 0
        self._changed = threading.Condition()
        self._is_closed = False
        self._mine = threading.local()
        self._waiting = ThreadPoolExecutor(MAX_CHUNKS, "sentiment-chunk")
        self._thread = threading.Thread(target=self._serve, name="sentiment-work", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    async def run(self, call: Callable[[], R], *, fresh: bool) -> R:
        """What `call` returns, from a thread whose `map` goes by `fresh`; cancelled, it is dropped.

        Raises what it raises.
        """
        claim = Claim(fresh=fresh)

        def claimed() -> R:
            self._mine.claim = claim
            return call()

        try:
            return await asyncio.get_running_loop().run_in_executor(self._waiting, claimed)
        finally:
            claim.is_dropped = True

    def map(self, kind: str, call: Callable[[Sequence[T]], list[R]], items: Sequence[T]) -> list[R]:
        """One result of `call` an item, in order; it is given a few items at a time.

        Parameters
        ----------
        kind : work of one kind takes about the same time an item.

        Raises
        ------
        Dropped
            Nobody waits for it any more.
        BaseException
            What the call raises; the slices after that one are not done.
        """
        claim = getattr(self._mine, "claim", None) or Claim(fresh=True)
        done: Future[list[R]] = Future()
        if not items:
            return []
        with self._changed:
            if self._is_closed:
                raise Dropped
            self._number += 1
            work = _Work(not claim.fresh, self._number, kind, call, items, [], claim, done)
            heapq.heappush(self._line, work)
            self._changed.notify()
        return done.result()

    def wrap(self, model: SentimentModel) -> Sliced:
        """The model in this line."""
        return Sliced(model, self)

    def close(self) -> None:
        """Drop what waits, and end."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join()
        self._waiting.shutdown(wait=True)

    def _serve(self) -> None:
        while (work := self._next()) is not None:
            if work.claim.is_dropped:
                work.done.set_exception(Dropped())
                continue
            try:
                self._slice(work)
            except BaseException as error:  # Rust's panics too: the thread serves all
                work.done.set_exception(error)
                continue
            if len(work.found) == len(work.items):
                work.done.set_result(work.found)
            else:
                with self._changed:
                    heapq.heappush(self._line, work)
        for work in self._line:
            work.done.set_exception(Dropped())

    def _next(self) -> _Work | None:
        with self._changed:
            while not (self._line or self._is_closed):
                self._changed.wait()
            return None if self._is_closed else heapq.heappop(self._line)

    def _slice(self, work: _Work) -> None:
        first = len(work.found)
        items = work.items[first : first + self._n.get(work.kind, 1)]
        began = self._clock()
        found = work.call(items)
        item_s = (self._clock() - began) / len(items)
        if len(found) != len(items):
            raise ValueError(f"{work.kind}: expected {len(items)} results, got {len(found)}")
        work.found.extend(found)
        known = self._item_s.get(work.kind, item_s)
        self._item_s[work.kind] = known = known + _LEARNS * (item_s - known)
        # One more than fits: a model that computes whole grids may take it for nothing.
        fits = int(self._slice_s / max(known, 1e-9)) + 1
        self._n[work.kind] = min(fits, 2 * len(items))


class Sliced(Wrapped):
    """Implements `SentimentModel` around one that scores in the line of `Turns`."""

    def __init__(self, model: SentimentModel, turns: Turns) -> None:
        super().__init__(model)
        self._turns = turns

    def probabilities(self, texts: Sequence[str]) -> list[Probabilities]:
        """One result a text, in order. Raises what the model raises, and Dropped."""
        return self._turns.map(label(self._model), self._model.probabilities, texts)
