"""Several models as one: the weighted mean of their probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum, isclose

from models.sentiment.model import (
    MAX_LABEL,
    Probabilities,
    SentimentModel,
    SentimentModelError,
    doubt,
    label,
    template,
)


class Ensemble:
    """Implements `SentimentModel`. A text that one member cannot score cannot be scored.

    Raises SentimentModelError unless there are two members or more, with positive weights that
    sum to 1, names and versions that a score has room for, and articles put to all in one way.

    Examples
    --------
    >>> from models.sentiment.lexicon import Lexicon
    >>> both = Ensemble([(Lexicon(), 0.75), (Lexicon(), 0.25)])
    >>> both.name, both.version
    ('lexicon*0.75+lexicon*0.25', '1+1')
    """

    def __init__(self, members: Sequence[tuple[SentimentModel, float]]) -> None:
        weights = [weight for _, weight in members]
        if len(members) < 2 or min(weights) <= 0 or not isclose(fsum(weights), 1.0):
            raise SentimentModelError(
                f"ensemble: expected two members or more with positive weights that sum to 1, "
                f"got {weights}"
            )
        self.name = "+".join(f"{model.name}*{weight:.6g}" for model, weight in members)
        self.version = "+".join(model.version for model, _ in members)
        self._members = tuple(members)
        templates = {template(model) for model, _ in members}
        if len(templates) > 1:
            raise SentimentModelError(
                f"ensemble: expected members that articles are put to in one way, got "
                f"{', '.join(sorted(templates))}"
            )
        self.template = templates.pop()
        self.doubt = "; ".join(filter(None, (doubt(model) for model, _ in members)))
        if len(label(self)) > MAX_LABEL:
            raise SentimentModelError(
                f"ensemble: expected at most {MAX_LABEL} characters of names and versions, "
                f"got {label(self)}; take fewer members"
            )

    def probabilities(self, texts: Sequence[str]) -> list[Probabilities]:
        """One result a text."""
        found = [
            [(weight, one) for one in model.probabilities(texts)] for model, weight in self._members
        ]
        return [
            Probabilities(
                *(min(1.0, fsum(weight * one[i] for weight, one in of_text)) for i in range(3))
            )
            for of_text in zip(*found, strict=True)
        ]
