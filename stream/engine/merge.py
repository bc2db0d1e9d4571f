"""Which record comes next, when one partition has several input topics. Pure.

Within a topic the order is the log's. Between topics the smallest Kafka timestamp goes first; on a
tie whatever is not the tape, then by topic name. In a replay the tape sets the pace:

    tape       10   20   30          a record of another topic at 25 waits until the tape's head
    sentiment          25            is at 25 or past it (or was applied through 25)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from stream.engine.step import Record

MAX_RUN = 500  # records applied before others get their turn

Key = tuple[int, bool, str]


@dataclass
class Queue:
    """What one topic has delivered and the step has not seen yet."""

    topic: str
    records: deque[Record] = field(default_factory=deque)


def next_run(
    queues: Sequence[Queue],
    behind: Callable[[str], bool],
    *,
    tape: str | None,
    paced: bool,
    tape_through: int,
) -> tuple[str, list[Record]] | None:
    """The topic whose turn it is and its next records; None while there is nothing to do.

    Parameters
    ----------
    behind : whether a topic with an empty queue is known to have records on the broker.
    tape : the topic that moves event time, if the role has one.
    paced : whether other topics wait for the tape, as in a replay.
    tape_through : Kafka timestamp of the last tape record applied, in milliseconds.
    """
    ready = sorted(
        (queue.records[0].timestamp, queue.topic == tape, queue.topic, i)
        for i, queue in enumerate(queues)
        if queue.records
    )
    if not ready:
        return None
    if any(not queue.records and behind(queue.topic) for queue in queues):
        return None
    head, is_tape, topic, i = ready[0]
    limit = ready[1][:3] if len(ready) > 1 else None
    through = None
    if paced and not any(one[1] for one in ready):
        if head > tape_through:
            return None
        through = tape_through
    return topic, _take(queues[i].records, (is_tape, topic), limit, through)


def _take(
    records: deque[Record], rank: tuple[bool, str], limit: Key | None, through: int | None
) -> list[Record]:
    """Records before `limit`, the head of the next topic, and not after `through`."""
    if limit is None and through is None:
        return [records.popleft() for _ in range(min(len(records), MAX_RUN))]
    run: list[Record] = []
    while records and len(run) < MAX_RUN:
        at = records[0].timestamp
        if (limit is not None and (at, *rank) >= limit) or (through is not None and at > through):
            break
        run.append(records.popleft())
    return run
