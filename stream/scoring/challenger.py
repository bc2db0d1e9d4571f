"""A challenger at work beside the champion, until it fails or is slow."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from models.scorer import Scorer
from stream import metrics
from stream.events import Signal

log = structlog.get_logger()

_ROWS = 200
_BUDGET_S = 0.005  # a row's, in the mean of so many: all signals of the worker wait for it


class Challenger:
    """A scorer that may be wrong or slow and must cost no champion's signal.

    It works in the worker's own thread: one that hangs inside a row hangs the worker.

    Parameters
    ----------
    clock : seconds; measures the scorer and touches no signal.

    Attributes
    ----------
    dropped : it is not asked again until the alias moves or the worker starts anew.
    """

    def __init__(self, scorer: Scorer, clock: Callable[[], float] = time.perf_counter) -> None:
        self.scorer = scorer
        self.dropped = False
        self._clock = clock
        self._n = 0
        self._spent_s = 0.0

    def ask(self, make: Callable[[Scorer], Signal]) -> Signal | None:
        """The signal that `make` builds with the scorer; None where it failed."""
        began = self._clock()
        try:
            signal = make(self.scorer)
            _check(signal)
        except Exception as error:
            self._drop("error", repr(error))
            return None
        self._n += 1
        self._spent_s += self._clock() - began
        if self._spent_s > _ROWS * _BUDGET_S:
            self._drop("slow", f"{self._spent_s:.3f} s for {self._n} rows")
        elif self._n == _ROWS:
            self._n, self._spent_s = 0, 0.0
        return signal

    def _drop(self, kind: str, why: str) -> None:
        self.dropped = True
        metrics.CHALLENGERS_DROPPED.labels(kind).inc()
        log.error("challenger dropped", version=self.scorer.version, why=why)


def _check(signal: Signal) -> None:
    """What no table takes must not reach one as a dead letter for each row."""
    p = signal.probabilities
    if not all(0.0 <= share <= 1.0 for share in (p.bearish, p.neutral, p.bullish)):
        raise ValueError(f"expected probabilities in 0..1, got {p}")
