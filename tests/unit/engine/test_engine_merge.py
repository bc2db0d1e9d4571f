"""Which record comes next, with the inputs of one partition drawn as timestamps."""

from collections import deque
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.engine.merge import MAX_RUN, Queue, next_run


@dataclass(frozen=True)
class At:
    timestamp: int
    offset: int = 0
    partition: int = 0
    key: bytes | None = b"AAPL"
    value: bytes | None = b""


def queues(**times: list[int]) -> list[Queue]:
    return [Queue(topic, deque(At(t, i) for i, t in enumerate(ts))) for topic, ts in times.items()]


def merged(
    inputs: list[Queue],
    *,
    behind: tuple[str, ...] = (),
    tape: str | None = "ticks",
    tape_last: bool = False,
) -> list[tuple[str, int]]:
    """All that can be applied now, in order."""
    order: list[tuple[str, int]] = []
    while True:
        run = next_run(inputs, lambda topic: topic in behind, tape=tape, tape_last=tape_last)
        if run is None:
            return order
        topic, records = run
        assert records
        order += [(topic, record.timestamp) for record in records]


def test_smallest_timestamp_goes_first() -> None:
    inputs = queues(ticks=[10, 20, 30], sentiment=[15, 25])
    assert [at for _, at in merged(inputs)] == [10, 15, 20, 25, 30]


def test_on_a_tie_the_tape_comes_last_and_names_decide_the_rest() -> None:
    inputs = queues(bars=[10, 11], news=[10, 10], sentiment=[10], actions=[10])
    assert merged(inputs, tape="bars") == [
        ("actions", 10),
        ("news", 10),
        ("news", 10),
        ("sentiment", 10),
        ("bars", 10),
        ("bars", 11),
    ]


def test_order_within_a_topic_is_the_logs_even_where_its_times_go_back() -> None:
    assert [at for _, at in merged(queues(ticks=[10, 5, 30], sentiment=[20]))] == [10, 5, 20, 30]


def test_waits_for_an_empty_topic_that_is_known_to_have_more() -> None:
    inputs = queues(ticks=[10], sentiment=[])
    assert merged(inputs, behind=("sentiment",)) == []
    assert merged(inputs) == [("ticks", 10)]


def test_goes_on_while_a_topic_with_records_at_hand_has_more_on_the_broker() -> None:
    inputs = queues(ticks=[10, 20], sentiment=[15])
    assert merged(inputs, behind=("ticks", "sentiment")) == [("ticks", 10), ("sentiment", 15)]


def test_in_a_replay_the_other_topics_run_ahead_of_the_tape() -> None:
    inputs = queues(ticks=[10, 20], sentiment=[15, 25], actions=[20])
    assert merged(inputs, tape_last=True) == [
        ("sentiment", 15),
        ("actions", 20),
        ("sentiment", 25),
        ("ticks", 10),
        ("ticks", 20),
    ]


def test_in_a_replay_the_tape_goes_on_alone() -> None:
    inputs = queues(ticks=[10, 20], sentiment=[])
    assert merged(inputs, tape_last=True) == [("ticks", 10), ("ticks", 20)]


def test_a_long_run_ends_so_that_others_get_their_turn() -> None:
    inputs = queues(ticks=list(range(MAX_RUN + 1)))
    run = next_run(inputs, lambda _: False, tape=None, tape_last=False)
    assert run is not None
    assert len(run[1]) == MAX_RUN


times = st.lists(st.integers(0, 30), max_size=12).map(sorted)


@pytest.mark.parametrize("tape_last", [False, True])
@given(ticks=times, sentiment=times, context=times)
def test_order_depends_on_timestamps_alone(
    tape_last: bool, ticks: list[int], sentiment: list[int], context: list[int]
) -> None:
    """Merged whole, or with chunks that come one by one: the same."""
    logs = {"ticks": ticks, "sentiment": sentiment, "context": context}
    whole = merged(queues(**logs), tape_last=tape_last)
    inputs = {topic: Queue(topic) for topic in logs}
    ahead: dict[str, deque[Any]] = {t: deque(At(at) for at in ats) for t, ats in logs.items()}
    piecewise: list[tuple[str, int]] = []
    while any(ahead.values()) or any(queue.records for queue in inputs.values()):
        for topic, rest in ahead.items():
            if rest and not inputs[topic].records:
                inputs[topic].records.append(rest.popleft())
        behind = tuple(topic for topic, rest in ahead.items() if rest)
        piecewise += merged(list(inputs.values()), behind=behind, tape_last=tape_last)
    assert piecewise == whole
    kept = whole if not tape_last else [one for one in whole if one[0] != "ticks"]
    assert all(a[1] <= b[1] for a, b in pairwise(kept))
    assert len(whole) == len(ticks) + len(sentiment) + len(context)
