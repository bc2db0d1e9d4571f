"""The protocol that every sentiment model fulfils, and their names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Probabilities(NamedTuple):
    """Of one text; they sum to 1, in this order whatever a model's own order is."""

    negative: float
    neutral: float
    positive: float


NEUTRAL = Probabilities(0.0, 1.0, 0.0)


class SentimentModel(Protocol):
    """Texts to probabilities. A text's result never depends on the texts beside it."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str:
        """Changes with every change of any text's result; a score carries `<name>-<version>`."""

    def probabilities(self, texts: Sequence[str]) -> list[Probabilities]:
        """One result a text, in order; an empty text is NEUTRAL."""


def load_sentiment_model(name: str) -> SentimentModel:
    """The model of that name, loaded. Raises ValueError for an unknown one."""
    if name == "lexicon":
        from models.sentiment.lexicon import Lexicon

        return Lexicon()
    raise ValueError(f"sentiment model: expected lexicon, got {name!r}")
