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
    challenger_share: float = 0.0  # of the symbols
    benchmark: str = ""  # as the market role has it, whose MarketPanes signals read
    news_waits_for_time: bool = (
        False  # a replay reads scores ahead of the tape: hold each until its time
    )

    @property
    def features(self) -> FeatureSet:
        """The feature set that the vectors follow."""
        return FEATURE_SETS[self.feature_set]

    def published_by_challenger(self, symbol: str) -> bool:
        """Whether a challenger's signals of `symbol` are published in place of the champion's.

        By a hash of the symbol: a larger share keeps the symbols of a smaller one.
        """
        if self.challenger_share == 0.0:
            return False
        drawn = hashlib.blake2b(symbol.encode(), digest_size=8).digest()
        return int.from_bytes(drawn) < self.challenger_share * 2**64

    @property
    def policy_id(self) -> str:
        """Sixteen hex digits that change with any field."""
        raw = msgspec.json.encode(self, order="deterministic")
        return hashlib.blake2b(raw, digest_size=8).hexdigest()
