"""Are training rows what was served? Vectors of replay beside those stored with signals.

Both come by time, partition by partition; each waits a day for its other at most:

    trained   a   b       d          b and d are compared; a was never served, c never trained on
    served        b   c   d
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack

import msgspec
import numpy as np

from stream.events import moment
from stream.features.panes import DAY_US
from stream.scoring.due import Due
from training.gates import Say
from training.history import History
from training.replay import steps
from training.stored_facts import main_sentiment_model
from training.stored_signals import newest_policy, signal_partitions
from training.stored_vectors import Key, Vector, stored_vectors

MAX_DIFFERENT = 0.001  # share of the compared rows, above which it is a FAIL
MAX_UNMATCHED = 0.001  # share of all rows without their other, above which it is a WARN
_TOLD_EVERY = 10_000


class Skew(msgspec.Struct, frozen=True, kw_only=True):
    """A feature that differs in `n` rows. The largest relative difference, and where it was.

    relative : of the larger of the two; inf where one has no value.
    """

    feature: str
    n: int
    relative: float
    symbol: str
    as_of: str
    trained: float
    served: float


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Rows by what became of them, and the features that differ, the worst first.

    pending : after the last row of the other side: its inputs are not all stored yet.
    foreign : served with scores of another sentiment model than training uses, by design.
    """

    equal: int
    different: int
    never_served: int
    never_trained: int
    pending: int
    foreign: int
    features: tuple[Skew, ...]

    @property
    def share(self) -> float:
        """Of the compared rows that differ."""
        return self.different / max(1, self.equal + self.different)

    @property
    def says(self) -> Say:
        """FAIL where rows differ; WARN where rows lack their other, or there are none."""
        if self.share > MAX_DIFFERENT:
            return "FAIL"
        compared, unmatched = self.equal + self.different, self.never_served + self.never_trained
        return "WARN" if unmatched >= MAX_UNMATCHED * (compared + unmatched) else "PASS"


def compare(
    names: Sequence[str],
    trained: Iterable[tuple[int, Vector]],
    served: Mapping[int, Iterator[Vector]],
) -> Comparison:
    """Compare each partition's training rows with what was served of it.

    Parameters
    ----------
    trained : partition and row, about in order of as_of within a partition.
    served : by partition, in order of as_of.
    """
    tally = _Tally(names)
    joins = {partition: _Join(rows, tally) for partition, rows in served.items()}
    for partition, row in trained:
        if partition not in joins:
            joins[partition] = _Join(iter(()), tally)
        joins[partition].trained(row)
    for join in joins.values():
        join.end()
    return tally.comparison()


def compare_stored(
    history: History,
    since_us: int | None,
    until_us: int | None,
    applied: Callable[[int], None] = lambda n: None,
) -> Comparison:
    """Replay what is stored, under the policy of the newest signal, and compare with its signals.

    Memory holds a day of rows at most. `applied` is told how many events are done, every 10,000.

    Raises Refused where there is no signal.
    """
    policy = newest_policy(history.connection, history.schema)
    model = main_sentiment_model(history)

    def trained() -> Iterator[tuple[int, Vector]]:
        replayed = steps(history.partitions(), policy, model, Counter())
        for n, (state, _, due) in enumerate(replayed, start=1):
            state.take_closed()
            if n % _TOLD_EVERY == 0:
                deque(state.take_changes(), maxlen=0)  # what only a checkpoint would write
                applied(n)
            for one in due:
                if (since_us or 0) <= one.as_of and (until_us is None or one.as_of < until_us):
                    yield state.partition, vector_of(one)

    with ExitStack() as ends:
        rows = {}
        for partition in signal_partitions(history.connection):
            rows[partition] = stored_vectors(
                history.connection, partition, policy, model, since_us, until_us
            )
            ends.callback(rows[partition].close)  # a cursor that the garbage collector closes hangs
        return compare(policy.features.names, trained(), rows)


def vector_of(due: Due) -> Vector:
    """A replayed row."""
    key = (due.symbol, due.trigger, due.trigger_ref, due.revision)
    return Vector(key, due.as_of, np.array(due.vector, dtype=np.float64))


class _Join:
    """One partition's rows of both sides, as far as they wait for each other."""

    def __init__(self, served: Iterator[Vector], tally: _Tally) -> None:
        self._served = served
        self._next = next(served, None)
        self._tally = tally
        self._waiting: tuple[dict[Key, Vector], dict[Key, Vector]] = ({}, {})  # trained, served
        self._last = [-1, -1]
        self._after = [0, 0]  # rows forgotten that came after all of the other side so far

    def trained(self, row: Vector) -> None:
        while self._next is not None and self._next.as_of_us <= row.as_of_us:
            self._put(1, self._next)
            self._next = next(self._served, None)
        self._put(0, row)

    def end(self) -> None:
        if self._next is not None:
            self._put(1, self._next)
        for row in self._served:
            self._put(1, row)
        for side in (0, 1):
            self._forget(side, None)
            self._tally.pending += self._after[side]

    def _put(self, side: int, row: Vector) -> None:
        self._last[side] = max(self._last[side], row.as_of_us)
        self._tally.alone[1 - side] += self._after[1 - side]
        self._after[1 - side] = 0
        other = self._waiting[1 - side].pop(row.key, None)
        if other is None:
            self._waiting[side][row.key] = row
            self._forget(0, row.as_of_us - DAY_US)
            self._forget(1, row.as_of_us - DAY_US)
        elif side == 0:
            self._tally.pair(row, other)
        else:
            self._tally.pair(other, row)

    def _forget(self, side: int, before_us: int | None) -> None:
        waiting = self._waiting[side]
        while waiting:
            key = next(iter(waiting))
            if before_us is not None and waiting[key].as_of_us >= before_us:
                return
            row = waiting.pop(key)
            if row.values is None:
                self._tally.foreign += 1
            elif row.as_of_us > self._last[1 - side]:
                self._after[side] += 1
            else:
                self._tally.alone[side] += 1


class _Tally:
    """Counts of rows, and what is known of each feature that differed."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self.pending = self.foreign = 0
        self.alone = [0, 0]  # trained on and never served; the other way round
        self._equal = self._different = 0
        self._n = np.zeros(len(names), dtype=np.int64)
        self._worst: dict[int, tuple[float, Vector, Vector]] = {}

    def pair(self, trained: Vector, served: Vector) -> None:
        a, b = trained.values, served.values
        if a is None or b is None:
            self.foreign += 1
            return
        differs = (a.view(np.int64) != b.view(np.int64)) & ~(np.isnan(a) & np.isnan(b))
        if not differs.any():
            self._equal += 1
            return
        self._different += 1
        self._n += differs
        for i in np.flatnonzero(differs).tolist():
            relative = _relative(float(a[i]), float(b[i]))
            if i not in self._worst or relative > self._worst[i][0]:
                self._worst[i] = (relative, trained, served)

    def comparison(self) -> Comparison:
        found = [self._skew(i, *worst) for i, worst in self._worst.items()]
        return Comparison(
            equal=self._equal,
            different=self._different,
            never_served=self.alone[0],
            never_trained=self.alone[1],
            pending=self.pending,
            foreign=self.foreign,
            features=tuple(sorted(found, key=lambda each: (-each.n, -each.relative))),
        )

    def _skew(self, i: int, relative: float, trained: Vector, served: Vector) -> Skew:
        assert trained.values is not None
        assert served.values is not None
        return Skew(
            feature=self._names[i],
            n=int(self._n[i]),
            relative=relative,
            symbol=trained.key[0],
            as_of=moment(trained.as_of_us).isoformat(),
            trained=float(trained.values[i]),
            served=float(served.values[i]),
        )


def _relative(a: float, b: float) -> float:
    if np.isnan(a) or np.isnan(b):
        return float("inf")
    return abs(a - b) / max(abs(a), abs(b), np.finfo(np.float64).tiny)
