"""Which record comes next, when one partition has several input topics. Pure.

Within a topic the order is the log's. Between topics the smallest Kafka timestamp goes first; on a
tie whatever is not the tape, then by topic name:

    tape       10   20   30          sentiment's 25 goes after the tape's 20 and before its 30
    sentiment          25

In a replay the other topics run ahead of the tape instead: they were published first, their log is
not in order of time, and the step holds what event time has not reached.
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
    tape_last: bool,
) -> tuple[str, list[Record]] | None:
    """The topic whose turn it is and its next records; None while there is nothing to do.

    Parameters
    ----------
    behind : whether a topic with an empty queue is known to have records on the broker.
    tape : the topic that moves event time, if the role has one.
    tape_last : whether other topics run ahead of the tape, as in a replay.
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
    if tape_last:
        ready = [one for one in ready if not one[1]] or ready
    _, is_tape, topic, i = ready[0]
    limit = ready[1][:3] if len(ready) > 1 else None
    return topic, _take(queues[i].records, (is_tape, topic), limit)


def _take(records: deque[Record], rank: tuple[bool, str], limit: Key | None) -> list[Record]:
    """Records before `limit`, the head of the next topic."""
    if limit is None:
        return [records.popleft() for _ in range(min(len(records), MAX_RUN))]
    run: list[Record] = []
    while records and len(run) < MAX_RUN and (records[0].timestamp, *rank) < limit:
        run.append(records.popleft())
    return run
