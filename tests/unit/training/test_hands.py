"""Partitions dealt to processes: each once, the load even, whatever their sizes."""

from hypothesis import given
from hypothesis import strategies as st

from training.hands import dealt

SIZES = st.dictionaries(st.integers(0, 63), st.integers(0, 1_000), max_size=20)


@given(SIZES, st.integers(1, 8))
def test_every_partition_is_in_one_hand_and_no_hand_is_empty(sizes, n_hands):
    hands = dealt(sizes, n_hands)
    assert sorted(partition for hand in hands for partition in hand) == sorted(sizes)
    assert len(hands) == min(n_hands, len(sizes))
    assert all(hands)


@given(SIZES, st.integers(1, 8))
def test_hands_differ_by_at_most_one_partition(sizes, n_hands):
    loads = [sum(sizes[each] for each in hand) for hand in dealt(sizes, n_hands)]
    assert max(loads, default=0) - min(loads, default=0) <= max(sizes.values(), default=0)


def test_largest_goes_first_and_equal_ones_by_number():
    assert dealt({0: 1, 1: 9, 2: 4, 3: 4}, 2) == [[1], [2, 3, 0]]
