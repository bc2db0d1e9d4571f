"""The models that the settings choose, loaded."""

from __future__ import annotations

import structlog

from models.sentiment.model import (
    SentimentModel,
    SentimentModelError,
    doubt,
    load_sentiment_model,
)
from stream import metrics
from stream.errors import Refused
from stream.sentiment.cache import Wrap
from stream.sentiment.judge import Judge
from stream.sentiment.turns import Turns
from stream.settings import Settings

log = structlog.get_logger()

LAST_RESORT = "lexicon"


def choose(
    settings: Settings, wrap: Wrap = lambda model: model, turns: Turns | None = None
) -> Judge:
    """Load what `settings` name: the model, its rivals, and the lexicon behind them.

    A model that cannot be loaded is said once and counted: the lexicon takes its place, and a
    rival's articles go to the model. Each scores in the line of `turns`, where there is one, and
    `wrap` is put around that, but not around the lexicon, which answers sooner than a cache.
    Raises Refused instead where `sentiment_missing` is stop.
    """
    lexicon = load_sentiment_model(LAST_RESORT)

    def at_work(model: SentimentModel) -> SentimentModel:
        in_line = model if turns is None else turns.wrap(model)
        return in_line if model.name == lexicon.name else wrap(in_line)

    model = lexicon
    if settings.sentiment_model != LAST_RESORT:
        model = _load(settings, "model", settings.sentiment_model, LAST_RESORT) or lexicon
    rivals = [
        (at_work(rival), share)
        for name, share in settings.sentiment_shares.items()
        if (rival := _load(settings, "shares", name, settings.sentiment_model)) is not None
    ]
    return Judge(at_work(model), rivals=rivals, fallback=at_work(lexicon))


def _load(settings: Settings, setting: str, name: str, instead: str) -> SentimentModel | None:
    missing = metrics.MODEL_MISSING.labels(name)
    missing.set(0)
    try:
        model = load_named(settings, name)
        if why := doubt(model):
            raise SentimentModelError(
                f"expected a model that its gates let serve, got one of which they say: {why}"
            )
        return model
    except SentimentModelError as error:
        if settings.sentiment_missing == "stop":
            raise Refused(
                f"TAPEWIRE_SENTIMENT_{setting.upper()}={name}: {error}; or let {instead} take its "
                "place: TAPEWIRE_SENTIMENT_MISSING=degrade"
            ) from None
        missing.set(1)
        log.warning("sentiment model missing", model=name, instead=instead, why=str(error))
        return None


def load_named(settings: Settings, name: str) -> SentimentModel:
    """The model of that name, with the settings' weights, folder of checkpoints and device.

    Raises SentimentModelError when it cannot be had.
    """
    return load_sentiment_model(
        name,
        weights=settings.sentiment_weights,
        cache=settings.sentiment_cache,
        device=settings.sentiment_device,
    )
