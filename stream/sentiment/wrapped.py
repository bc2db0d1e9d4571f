"""What is the same of every model around another model."""

from __future__ import annotations

from models.sentiment.model import Probabilities, SentimentModel, template


class Wrapped:
    """Goes by the name of the model inside, whose results it gives."""

    def __init__(self, model: SentimentModel) -> None:
        self._model = model

    @property
    def name(self) -> str:
        return self._model.name

    @property
    def version(self) -> str:
        return self._model.version

    @property
    def template(self) -> str:
        return template(self._model)

    @property
    def reference(self) -> Probabilities | None:
        """What the model gave in training, where it knows."""
        return getattr(self._model, "reference", None)
