"""Everything beside records and model that a signal depends on, with one name for all of it."""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

from stream.features.vector import FEATURE_SETS, FeatureSet


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """The rules of one namespace; times in microseconds unless the name says seconds."""

    feature_set: str
    feature_set_version: int
    tape: Literal["ticks", "bars"]
    calendar: str
    lateness_us: int
    max_ahead_us: int
    feed_delay_s: float
    scoring_delay_s: float
    staleness_s: float
    confidence: float
    model_max_age_s: float | None
    score_every_tick: bool
    require_instruments: bool
    rules_may_act: bool
    news_waits_for_time: bool = (
        False  # a replay reads scores ahead of the tape: hold each until its time
    )

    @property
    def features(self) -> FeatureSet:
        """The feature set that the vectors follow."""
        return FEATURE_SETS[self.feature_set]

    @property
    def policy_id(self) -> str:
        """Sixteen hex digits that change with any field."""
        raw = msgspec.json.encode(self, order="deterministic")
        return hashlib.blake2b(raw, digest_size=8).hexdigest()
