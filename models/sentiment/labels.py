"""From a model's own labels and logits to probabilities in our order."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, isfinite

from models.sentiment.model import Probabilities, SentimentModelError

_MEANS = {
    "negative": 0, "neg": 0, "bearish": 0,
    "neutral": 1, "neu": 1,
    "positive": 2, "pos": 2, "bullish": 2,
}  # fmt: skip

Order = tuple[int, int, int]


def label_order(labels: Sequence[str]) -> Order:
    """Where negative, neutral and positive stand among `labels`.

    Raises SentimentModelError unless each of the three stands there once.

    Examples
    --------
    >>> label_order(["positive", "negative", "neutral"])
    (1, 2, 0)
    """
    if len(labels) != 3:
        raise SentimentModelError(f"labels: expected 3, got {len(labels)}: {', '.join(labels)}")
    places: dict[int, int] = {}
    for place, name in enumerate(labels):
        meaning = _MEANS.get(name.strip().lower())
        if meaning is None:
            raise SentimentModelError(
                f"labels: expected negative, neutral and positive (or bearish and bullish), "
                f"got {name!r}; name them in the model's config"
            )
        if meaning in places:
            raise SentimentModelError(f"labels: expected three meanings, got {', '.join(labels)}")
        places[meaning] = place
    return places[0], places[1], places[2]


def probabilities(
    logits: Sequence[float],
    order: Order,
    temperature: float = 1.0,
    offsets: Sequence[float] = (0.0, 0.0, 0.0),
) -> Probabilities:
    """Softmax of one text's logits over `temperature` plus `offsets`, in our order.

    Raises SentimentModelError for another number than three, NaN and infinity.
    """
    if len(logits) != 3 or not all(isfinite(value) for value in logits):
        raise SentimentModelError(f"logits: expected 3 finite numbers, got {list(logits)[:9]}")
    top = max(logits)
    raised = [exp((logits[place] - top) / temperature + offsets[place]) for place in order]
    total = sum(raised)
    return Probabilities(raised[0] / total, raised[1] / total, raised[2] / total)
