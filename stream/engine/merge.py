"""Which record comes next, when one partition has several input topics. Pure.

Within a topic the order is the log's. Between topics the smallest Kafka timestamp goes first, and
on a tie whatever is not the tape. In a replay the tape sets the pace:

    tape       10   20   30          a record of another topic at 25 waits until the tape's head
    sentiment          25            is past 25 (or the tape has been applied through 25)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from stream.engine.step import Record

MAX_RUN = 500  # records applied before others get their turn


@dataclass
class Queue:
    """What one topic has delivered and the step has not seen yet."""

    topic: str
    records: deque[Record] = field(default_factory=deque)

    def head(self) -> int:
        """Kafka timestamp of the next record, in milliseconds."""
        return self.records[0].timestamp


def next_run(
    queues: Sequence[Queue],
    behind: Callable[[str], bool],
    *,
    tape: str | None,
    tape_through: int,
) -> tuple[str, list[Record]] | None:
    """The topic whose turn it is and its next records; None while there is nothing to do.

    Parameters
    ----------
    behind : whether a topic with an empty queue is known to have records on the broker.
    tape : the topic that sets the pace; None in a live namespace, where nothing waits for it.
    tape_through : Kafka timestamp of the last tape record applied, in milliseconds.
    """
    ready = [queue for queue in queues if queue.records]
    if not ready:
        return None
    if any(not queue.records and behind(queue.topic) for queue in queues):
        return None
    if tape is not None:
        ahead = [queue for queue in ready if queue.topic != tape]
        if ahead:
            first = min(ahead, key=lambda queue: (queue.head(), queue.topic))
            return first.topic, _take(first, None, inclusive=True)
    first = min(ready, key=lambda queue: (queue.head(), queue.topic == tape, queue.topic))
    others = [queue for queue in ready if queue is not first]
    limit = min((queue.head() for queue in others), default=None)
    return first.topic, _take(first, limit, inclusive=first.topic != tape)


def _take(queue: Queue, limit: int | None, *, inclusive: bool) -> list[Record]:
    records = queue.records
    if limit is None:
        return [records.popleft() for _ in range(min(len(records), MAX_RUN))]
    run = [records.popleft()]
    while records and len(run) < MAX_RUN:
        head = records[0].timestamp
        if head > limit or (head == limit and not inclusive):
            break
        run.append(records.popleft())
    return run
