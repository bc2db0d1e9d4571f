"""The sentiment role put together."""

from __future__ import annotations

import asyncio
import time
from math import fsum

import structlog

from stream.engine.app import run_role
from stream.engine.step import RoleSpec
from stream.features.news import FOREIGN_SHARE
from stream.features.vector import FEATURE_SETS
from stream.sentiment.cache import Note, caching
from stream.sentiment.choice import choose
from stream.sentiment.directory import NOTHING_LISTED, Directory, read_directory
from stream.sentiment.guarded import GuardedStep, references
from stream.sentiment.guards import Guard
from stream.sentiment.judge import Judge
from stream.sentiment.opinions import Opinions
from stream.sentiment.step import SentimentStep
from stream.sentiment.turns import Turns
from stream.settings import Settings

log = structlog.get_logger()


async def run_sentiment(settings: Settings, *, stop: asyncio.Event | None = None) -> None:
    """Run the role until `stop` or a signal."""
    live = settings.mode == "live"
    directory = read_directory(settings.symbols_file)
    warn_of_shares(settings)
    with caching(settings) as (wrap, note), Turns() as turns:
        judge = await asyncio.to_thread(choose, settings, wrap, turns)
        guard = Guard(references(*judge.models))

        def make_step(partition: int) -> GuardedStep:
            step = sentiment_step(
                settings, judge, live=live, directory=directory, note=note, turns=turns
            )
            return GuardedStep(step, guard)

        spec = RoleSpec("sentiment", ("news",), make_step)
        await run_role(settings, spec, stop=stop)


def warn_of_shares(settings: Settings) -> None:
    """Say it where a champion trained on the model's scores would abstain from all its signals."""
    others = fsum(settings.sentiment_shares.values())
    if others > FOREIGN_SHARE:
        log.warning(
            "TAPEWIRE_SENTIMENT_SHARES: other models score so many articles that signals of a "
            f"trained model are not actionable; expected at most {FOREIGN_SHARE:g} together",
            got=others,
        )


def sentiment_step(
    settings: Settings,
    judge: Judge,
    *,
    live: bool,
    directory: Directory = NOTHING_LISTED,
    note: Note = lambda text, symbols: None,
    turns: Turns | None = None,
) -> SentimentStep:
    """A partition's step as `settings` want it; not `live`, scoring takes `scoring_delay_s`."""
    return SentimentStep(
        Opinions(judge, directory=directory, languages=settings.languages, about=note, turns=turns),
        clock=(lambda: time.time_ns() // 1000) if live else None,
        scoring_delay_us=int(settings.scoring_delay_s * 1e6),
        max_ahead_us=int(settings.max_ahead_s * 1e6),
        keep_us=FEATURE_SETS[settings.feature_set].news_window.us,
        refuse_unscorable=settings.unscorable == "refuse",
    )
