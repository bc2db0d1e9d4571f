"""Training rows beside served ones: what differs is named, what lacks its other is counted."""

from __future__ import annotations

import weakref
from math import inf, nan

import numpy as np
import pytest

from stream.features.panes import DAY_US
from training.served import compare
from training.stored_vectors import Vector

NAMES = ("a", "b", "c")
MINUTE = 60_000_000


def row(i, values=(1.0, nan, 0.0), symbol="AAA", at=None):
    known = None if values is None else np.array(values)
    return Vector((symbol, "pane", str(i), 1), MINUTE * i if at is None else at, known)


def compared(trained, served):
    return compare(NAMES, ((0, each) for each in trained), {0: iter(served)})


def test_rows_that_are_bit_equal_pass_also_without_a_value():
    rows = [row(i, (0.1 * i, nan, -2.0)) for i in range(50)]
    found = compared(rows, rows)
    assert (found.equal, found.different, found.says, found.features) == (50, 0, "PASS", ())


@pytest.mark.parametrize(
    ("served", "relative"),
    [((1.0, nan, 0.5), inf), ((1.0, nan, nan), inf), ((1.0 + 2**-52, nan, 0.25), 2**-52)],
)
def test_a_row_that_differs_names_its_feature_and_by_how_much(served, relative):
    trained = (1.0, nan, 0.25) if served[2] != 0.5 else (1.0, nan, nan)
    found = compared([row(0, trained), row(1)], [row(0, served), row(1)])
    assert (found.different, found.equal, found.says) == (1, 1, "FAIL")
    (skew,) = found.features
    assert skew.feature == ("a" if relative < 1 else "c")
    assert skew.relative == pytest.approx(relative, rel=0.01)
    assert (skew.symbol, skew.n) == ("AAA", 1)


def test_the_feature_that_differs_most_often_comes_first_with_its_largest_difference():
    trained = [row(i, (1.0, 1.0, 1.0)) for i in range(4)]
    served = [row(i, (1.0, 1.0 + 0.1 * i, 2.0 if i == 3 else 1.0)) for i in range(4)]
    found = compared(trained, served)
    assert [(each.feature, each.n) for each in found.features] == [("b", 3), ("c", 1)]
    assert found.features[0].relative == pytest.approx(0.3 / 1.3)
    assert found.features[0].as_of == "1970-01-01T00:03:00+00:00"


def test_one_row_in_a_thousand_may_differ():
    trained = [row(i) for i in range(2_000)]
    for n, says in ((2, "PASS"), (3, "FAIL")):
        served = [row(i, (9.0, nan, 0.0) if i < n else (1.0, nan, 0.0)) for i in range(2_000)]
        assert compared(trained, served).says == says


def test_rows_without_their_other_are_counted_on_their_side():
    trained = [row(i) for i in (0, 1, 3, 4, 5, 9)]
    served = [row(i) for i in (0, 2, 3, 4, 5, 8)]
    found = compared(trained, served)
    assert (found.never_served, found.never_trained, found.pending) == (1, 2, 1)
    assert (found.equal, found.says) == (4, "WARN")


def test_days_without_the_other_side_are_pending_only_at_the_end():
    rows = [row(i, at=i * DAY_US // 4) for i in range(40)]
    gap, tail = rows[:12] + rows[24:], rows[:12]
    found = compared(rows, gap)
    assert (found.never_served, found.never_trained, found.pending) == (12, 0, 0)
    assert compared(gap, rows).never_trained == 12
    found = compared(rows, tail)
    assert (found.never_served, found.pending) == (0, 28)
    assert compared(tail, rows).pending == 28
    assert compared(rows, rows[20:]).never_served == 20


def test_partitions_are_joined_apart_and_may_come_in_any_order():
    first, other = [row(i) for i in range(5)], [row(i, symbol="BBB") for i in range(5)]
    mixed = [(p, each) for pair in zip(first, other, strict=True) for p, each in enumerate(pair)]
    for trained in (mixed, sorted(mixed, key=lambda one: -one[0])):
        found = compare(NAMES, trained, {0: iter(first), 1: iter(other)})
        assert (found.equal, found.never_served, found.never_trained) == (10, 0, 0)


def test_a_row_somewhat_out_of_order_still_finds_its_other():
    rows = [row(i, at=MINUTE * (i - 3 if i % 5 == 0 else i)) for i in range(40)]
    assert compared(rows, sorted(rows, key=lambda one: one.as_of_us)).equal == 40


def test_scores_of_another_sentiment_model_are_a_difference_by_design():
    found = compared([row(0), row(1)], [row(0, None), row(1), row(2, None)])
    assert (found.foreign, found.equal, found.different, found.says) == (2, 1, 0, "PASS")


def test_nothing_to_compare_is_no_pass():
    assert compared([], []).says == "WARN"


def test_no_more_than_a_day_of_rows_waits():
    made, alive = [], []

    def rows():
        for i in range(2_000):
            each = row(i, at=i * DAY_US // 100)
            made.append(weakref.ref(each.values))
            alive.append(sum(ref() is not None for ref in made[-300:]))
            yield 0, each

    served = iter([row("other", at=1_999 * DAY_US // 100)])
    compare(NAMES, rows(), {0: served})
    assert 100 <= max(alive) <= 105
