"""Which model scores an article, and what scores it when that model cannot."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import structlog

from models.sentiment.model import NEUTRAL, Probabilities, SentimentModel, label, template
from stream import metrics
from stream.sentiment.text import text_hash
from stream.sentiment.turns import Dropped

log = structlog.get_logger()

NO_MODEL = "none"  # on a score that no model could give: neutral, and not counted as a model's
UNCAUGHT = (KeyboardInterrupt, SystemExit, Dropped)  # whatever else a library raises is a text's


class Judged(NamedTuple):
    """A text's probabilities and the model that gave them."""

    score: Probabilities
    model: str


class Judge:
    """The models at work.

    A text that its model fails on goes to `fallback`, then is neutral, under the name of the one
    that scored it; the texts beside it are not touched.

    Parameters
    ----------
    model : scores the articles that no rival does.
    rivals : other models and the share of articles that each scores, 0..1, by a hash of the
        article's id: the same articles in a replay, and all revisions of one by the same model.
    """

    def __init__(
        self,
        model: SentimentModel,
        *,
        rivals: Sequence[tuple[SentimentModel, float]] = (),
        fallback: SentimentModel | None = None,
    ) -> None:
        self.name = label(model)
        self.models = (model, *(rival for rival, _ in rivals))
        self._by_name: Mapping[str, SentimentModel] = {
            self.name: model,
            **{label(rival): rival for rival, _ in rivals},
        }
        self._shares = [(label(rival), share) for rival, share in rivals]
        self._fallback = fallback

    def model_of(self, article_id: str) -> str:
        """The name of the model whose turn the article is."""
        if not self._shares:
            return self.name
        drawn = hashlib.blake2b(article_id.encode(), digest_size=8, person=b"sentiment").digest()
        left = int.from_bytes(drawn, "big") / 2**64
        for name, share in self._shares:
            left -= share
            if left < 0:
                return name
        return self.name

    def template_of(self, name: str) -> str:
        """How articles are put to the model of that name."""
        return template(self._by_name[name])

    def judge(self, name: str, texts: Sequence[str]) -> list[Judged]:
        """One result a text, by the model of that name."""
        model = self._by_name[name]
        found = _scores(model, texts)
        failed = [i for i, score in enumerate(found) if isinstance(score, BaseException)]
        judged = [
            Judged(NEUTRAL, NO_MODEL) if isinstance(score, BaseException) else Judged(score, name)
            for score in found
        ]
        if not failed:
            return judged
        metrics.MODEL_FAILURES.labels(name).inc(len(failed))
        log.warning(
            "sentiment model failed",
            model=name,
            texts=len(failed),
            first_text_hash=text_hash(texts[failed[0]]),
            why=repr(found[failed[0]])[:500],
        )
        if self._fallback is not None and label(self._fallback) != name:
            instead = Judge(self._fallback)
            again = instead.judge(instead.name, [texts[i] for i in failed])
            for i, each in zip(failed, again, strict=True):
                judged[i] = each
        return judged


def _scores(model: SentimentModel, texts: Sequence[str]) -> list[Probabilities | BaseException]:
    """One result a text; halves what fails until the texts that fail are alone."""
    if not texts:
        return []
    try:
        return list(model.probabilities(texts))
    except UNCAUGHT:
        raise
    except BaseException as error:  # a library's, of any kind: Rust's panics are no Exception
        if len(texts) == 1:
            return [error]
        half = len(texts) // 2
        return _scores(model, texts[:half]) + _scores(model, texts[half:])
