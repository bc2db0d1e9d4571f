"""A sentiment step whose articles and scores are watched: what came in, what went out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import structlog

from models.sentiment.model import Probabilities
from stream import metrics
from stream.engine.step import Outbox, Outcome, Record
from stream.events import NewsArticle, SentimentScored
from stream.sentiment.guards import Guard
from stream.sentiment.judge import NO_MODEL
from stream.sentiment.step import SentimentStep

log = structlog.get_logger()


@runtime_checkable
class Referenced(Protocol):
    """A model that knows which shares of the classes it gave in training."""

    name: str
    version: str
    reference: Probabilities | None


def references(*models: object) -> dict[str, Probabilities]:
    """By label what those of the models know that know it."""
    return {
        f"{model.name}-{model.version}": model.reference
        for model in models
        if isinstance(model, Referenced) and model.reference is not None
    }


class GuardedStep:
    """Implements `stream.engine.step.Step` around the role's own.

    At every checkpoint the shares go to the metrics; a kind that breaks is warned of once until
    it is sound again.
    """

    def __init__(self, step: SentimentStep, guard: Guard) -> None:
        self._step = step
        self._guard = guard

    async def prepare(self, topic: str, records: Sequence[Record]) -> None:
        """See the step."""
        await self._step.prepare(topic, records)

    def apply(self, topic: str, record: Record, out: Outbox) -> Outcome:
        """See the step; what is rejected, old or a retraction is not looked at."""
        outcome = self._step.apply(topic, record, out)
        if outcome is Outcome.APPLIED and self._step.last is not None:
            article, scores = self._step.last
            if article.status != "retracted":
                self._look(record.timestamp * 1000, article, scores)
        return outcome

    def take_changes(self) -> Iterable[tuple[bytes, bytes | None]]:
        """See the step."""
        return self._step.take_changes()

    def meta(self) -> dict[str, Any]:
        """See the step."""
        self._tell()
        return self._step.meta()

    def restore(self, slots: Mapping[bytes, bytes], meta: Mapping[str, Any]) -> None:
        """See the step; the guard starts anew."""
        self._step.restore(slots, meta)

    def _look(self, at_us: int, came: NewsArticle, scores: Sequence[SentimentScored]) -> None:
        scored = [each for each in scores if each.status != "retracted"]
        by_model = [each for each in scored if not each.model.startswith(NO_MODEL)]
        self._guard.article(
            at_us,
            came.headline,
            no_body=not came.body.strip(),
            no_symbol=not scored,
            unscored=bool(scored) and not by_model,
        )
        for each in by_model:
            score = Probabilities(each.negative, each.neutral, each.positive)
            self._guard.score(at_us, each.model, score)

    def _tell(self) -> None:
        for kind, share in self._guard.shares().items():
            metrics.NEWS_SHARE.labels(kind).set(float("nan") if share is None else share)
        for model, distance in self._guard.drift().items():
            metrics.SENTIMENT_DRIFT.labels(model).set(distance)
        for kind, share in self._guard.breaks().items():
            log.warning("the news look broken", kind=kind, share=round(share, 3))
