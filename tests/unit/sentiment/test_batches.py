"""Labels and logits in our order; which texts run together."""

from __future__ import annotations

from functools import partial
from math import exp, inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.sentiment.batches import alone, bucket, plan
from models.sentiment.labels import label_order, probabilities
from models.sentiment.model import SentimentModelError

LENGTHS = st.lists(st.integers(0, 700), max_size=200)


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (2, 0, 1)])
def test_a_softmax_in_our_order(order: tuple[int, int, int]) -> None:
    logits = [1.0, -2.0, 0.5]
    total = sum(exp(x) for x in logits)
    assert probabilities(logits, order) == pytest.approx([exp(logits[i]) / total for i in order])


@given(st.lists(st.floats(-1e30, 1e30), min_size=3, max_size=3), st.floats(0.01, 100))
def test_finite_logits_give_probabilities(logits: list[float], temperature: float) -> None:
    found = probabilities(logits, (0, 1, 2), temperature)
    assert all(0.0 <= p <= 1.0 for p in found)
    assert sum(found) == pytest.approx(1.0)


@pytest.mark.parametrize("logits", [[nan, 0, 0], [0, inf, 0], [0, 0, -inf], [0, 0], [0, 0, 0, 0]])
def test_other_logits_are_refused(logits: list[float]) -> None:
    with pytest.raises(SentimentModelError, match="logits: expected 3 finite numbers, got "):
        probabilities(logits, (0, 1, 2))


@pytest.mark.parametrize(
    ("labels", "order"),
    [
        (("negative", "neutral", "positive"), (0, 1, 2)),
        (("positive", "negative", "neutral"), (1, 2, 0)),
        (("Bearish", " BULLISH ", "Neutral"), (0, 2, 1)),
    ],
)
def test_labels_are_known_by_their_names(
    labels: tuple[str, ...], order: tuple[int, int, int]
) -> None:
    assert label_order(labels) == order


@given(LENGTHS, st.integers(1, 5000))
def test_every_text_runs_once_in_a_grid_that_hangs_on_its_length_alone(
    lengths: list[int], budget: int
) -> None:
    shape = partial(bucket, budget=budget, longest=700)
    batches = plan(lengths, shape)
    ran = [place for batch in batches for place in batch.places]
    assert sorted(ran) == [place for place, length in enumerate(lengths) if length]
    for batch in batches:
        assert len(batch.places) <= batch.rows
        for place in batch.places:
            assert (batch.rows, batch.width) == shape(lengths[place])
            assert lengths[place] <= batch.width <= 700
            assert batch.rows == 1 or batch.rows * batch.width <= budget


@given(LENGTHS)
def test_alone_means_alone_and_unpadded(lengths: list[int]) -> None:
    for batch in plan(lengths, alone):
        (place,) = batch.places
        assert (batch.rows, batch.width) == (1, lengths[place])


def test_a_full_grid_takes_all_that_fit() -> None:
    batches = plan([20] * 7 + [5], partial(bucket, budget=96, longest=510))
    assert [(len(b.places), b.rows, b.width) for b in batches] == [
        (1, 6, 16),
        (4, 4, 24),
        (3, 4, 24),
    ]
