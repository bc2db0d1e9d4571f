"""The sentiment role put together."""

from __future__ import annotations

import asyncio
import time

from models.sentiment.model import load_sentiment_model
from stream.engine.app import run_role
from stream.engine.step import RoleSpec
from stream.features.vector import FEATURE_SETS
from stream.sentiment.directory import read_directory
from stream.sentiment.step import SentimentStep
from stream.settings import Settings


async def run_sentiment(settings: Settings, *, stop: asyncio.Event | None = None) -> None:
    """Run the role until `stop` or a signal."""
    model = load_sentiment_model(settings.sentiment_model)
    directory = read_directory(settings.symbols_file)
    replay = settings.mode == "replay"

    def make_step(partition: int) -> SentimentStep:
        return SentimentStep(
            model,
            clock=None if replay else lambda: time.time_ns() // 1000,
            scoring_delay_us=int(settings.scoring_delay_s * 1e6),
            max_ahead_us=int(settings.max_ahead_s * 1e6),
            keep_us=FEATURE_SETS[settings.feature_set].news_window.us,
            directory=directory,
            languages=settings.languages,
            refuse_unscorable=settings.unscorable == "refuse",
        )

    spec = RoleSpec("sentiment", ("news",), make_step, outputs=("sentiment", "dead-letters"))
    await run_role(settings, spec, stop=stop)
