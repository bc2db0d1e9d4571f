"""Trade numbers in ranges are a set of numbers."""

from __future__ import annotations

import itertools

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from stream.features.seen import SeenTrades


@given(st.lists(st.tuples(st.sampled_from("NQ"), st.integers(-50, 50))))
def test_ranges_are_the_set_in_as_few_ranges_as_can_be(trades: list[tuple[str, int]]) -> None:
    seen, known = SeenTrades(), set[tuple[str, int]]()
    for exchange, seq in trades:
        assert seen.add(exchange, seq) is ((exchange, seq) not in known)
        known.add((exchange, seq))
        seen = msgspec.json.decode(msgspec.json.encode(seen), type=SeenTrades)
    for exchange, ranges in seen.ranges.items():
        assert {n for first, last in ranges for n in range(first, last + 1)} == {
            seq for each, seq in known if each == exchange
        }
        assert all(b[0] > a[1] + 1 for a, b in itertools.pairwise(ranges))
