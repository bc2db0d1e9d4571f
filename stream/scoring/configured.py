"""The policy that settings describe."""

from __future__ import annotations

from stream.features.vector import FEATURE_SETS
from stream.scoring.policy import Policy
from stream.settings import Settings


def policy_of(settings: Settings) -> Policy:
    """The policy that `settings` describe."""
    max_age = settings.model_max_age_days
    return Policy(
        feature_set=settings.feature_set,
        feature_set_version=FEATURE_SETS[settings.feature_set].version,
        tape=settings.tape,
        calendar=settings.calendar,
        lateness_us=int(settings.lateness_s * 1e6),
        max_ahead_us=int(settings.max_ahead_s * 1e6),
        feed_delay_s=settings.feed_delay_s,
        scoring_delay_s=settings.scoring_delay_s,
        staleness_s=settings.staleness_s,
        confidence=settings.confidence,
        model_max_age_s=None if max_age is None else max_age * 86_400,
        score_every_tick=settings.score_every_tick,
        require_instruments=settings.require_instruments,
        rules_may_act=settings.rules_may_act,
        challenger_share=settings.challenger_share,
        benchmark=settings.benchmark,
        news_waits_for_time=settings.mode == "replay",
    )
