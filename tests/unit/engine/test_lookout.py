"""A consumer that reads nothing though it should is seen, and one that waits rightly is left."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from faust.types.tuples import TP

from stream.engine.lookout import LOOK_S, REBALANCE_S, Lookout
from stream.errors import Unavailable

A, B = TP("ticks", 0), TP("ticks", 1)


def seconds(lookout: Lookout, n: int, *, flows: bool) -> int:
    """Tell `n` seconds; how often it wanted to look."""
    return sum(lookout.second(flows=flows) for _ in range(n))


def settled() -> Lookout:
    lookout = Lookout()
    lookout.sought()
    assert seconds(lookout, 2 * REBALANCE_S, flows=True) == 2 * REBALANCE_S // LOOK_S
    return lookout


@pytest.mark.parametrize("sought", [False, True])
def test_a_start_after_which_no_record_flows_is_seen(sought: bool) -> None:
    lookout = Lookout()
    if sought:
        lookout.sought()
    seconds(lookout, REBALANCE_S, flows=False)
    with pytest.raises(Unavailable, match="not settled within 45 s"):
        lookout.second(flows=False)


def test_flowing_without_having_sought_is_not_settled() -> None:
    lookout = Lookout()
    seconds(lookout, REBALANCE_S, flows=True)
    with pytest.raises(Unavailable, match="not settled"):
        lookout.second(flows=True)


def test_each_rebalance_has_its_own_time() -> None:
    lookout = settled()
    for _ in range(3):
        lookout.rebalancing()
        seconds(lookout, REBALANCE_S - 1, flows=False)
    lookout.sought()
    seconds(lookout, 1, flows=True)
    lookout.rebalancing()
    seconds(lookout, REBALANCE_S, flows=False)
    with pytest.raises(Unavailable, match="not settled"):
        lookout.second(flows=False)


def test_a_worker_without_partitions_waits_for_ever() -> None:
    lookout = settled()
    lookout.rebalancing()
    lookout.assigned_nothing()
    seconds(lookout, 10 * REBALANCE_S, flows=False)


@pytest.mark.parametrize(
    "looks",
    [
        [({A: 5}, {A: 5}), ({A: 5}, {A: 9}), ({A: 9}, {A: 9})],  # it came just then
        [({A: 5}, {A: 9}), ({A: 6}, {A: 9}), ({A: 7}, {A: 9})],  # it is slow, and moves
        [({A: 5}, {A: 9}), ({}, {}), ({A: 5}, {A: 9})],  # the engine was busy in between
        [({A: 5}, {}), ({A: 5}, {}), ({A: 5}, {A: 9})],  # the broker does not answer
        [({A: 5, B: 5}, {A: 5, B: 9}), ({A: 5}, {A: 5}), ({A: 5, B: 5}, {A: 5, B: 9})],
    ],
)
def test_who_reads_or_has_nothing_to_read_is_left(
    looks: list[tuple[Mapping[TP, int], Mapping[TP, int]]],
) -> None:
    lookout = settled()
    for positions, ends in looks:
        lookout.look(positions, ends)


def test_records_that_nobody_fetches_are_seen_at_the_second_look() -> None:
    lookout = settled()
    lookout.look({A: 5, B: 7}, {A: 5, B: 9})
    with pytest.raises(Unavailable, match=r"ticks partition 1: 2 records wait .* from offset 7 on"):
        lookout.look({A: 5, B: 7}, {A: 5, B: 11})
