"""The feature sets: which features, in which order. New maths means a new version."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain

from stream.features import calendar, market, opinion, relative
from stream.features.groups import Feature, Group, Values
from stream.features.marketbook import MarketRule, sessions_us
from stream.features.panes import DAY_US, HOUR_US, MINUTE_US
from stream.features.sector import membership
from stream.features.view import View, Window, days, hours, minutes, sessions

__all__ = ["FEATURE_SETS", "Feature", "FeatureSet"]


@dataclass(frozen=True)
class FeatureSet:
    """What a vector holds and how much history it needs. Windows are code, never settings."""

    name: str
    version: int
    pane_us: int | None  # None: panes are made by bars
    pane_window_us: int | None  # panes older than this count for nothing
    panes_kept: int | None  # more panes than this count for nothing
    sessions_kept: int
    news_window: Window
    story_window: Window  # how far back an item's text is compared; later it is news again
    evidence_window: Window
    warmup_panes: int
    market: MarketRule
    groups: tuple[Group, ...]

    @property
    def features(self) -> tuple[Feature, ...]:
        """All features, in the vector's order."""
        return tuple(chain.from_iterable(group.features for group in self.groups))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The features' names, in the vector's order."""
        return tuple(feature.name for feature in self.features)

    @cached_property
    def news_names(self) -> frozenset[str]:
        """The features that news changes."""
        return frozenset(
            feature.name for group in self.groups if group.reads_news for feature in group.features
        )

    @cached_property
    def compared(self) -> tuple[int, ...]:
        """Places of what the market compares: the rule's `move`, then its `ranked`."""
        return tuple(map(self.names.index, (self.market.move, *self.market.ranked)))

    @cached_property
    def told(self) -> FeatureSet:
        """Only the groups that hold what the market compares; they see nothing of the market."""
        wanted = {self.names[place] for place in self.compared}
        groups = [g for g in self.groups if wanted & {feature.name for feature in g.features}]
        return replace(self, groups=tuple(groups))

    def compute(self, view: View) -> tuple[float | None, ...]:
        """The values, in the order of `names`."""
        out: Values = []
        view.own = out
        for group in self.groups:
            out += group.compute(view)
        return tuple(out)


_INTRADAY_OWN = (
    market.returns(minutes(1), minutes(5), minutes(15), hours(1), hours(4)),
    market.volatility(minutes(15), hours(1), tick=minutes(5), base=hours(2)),
    market.flow(minutes(5), minutes(30), base=hours(2)),
    market.ranges(minutes(15), hours(1)),
    market.illiquidity(hours(1)),
    market.spread(minutes(5)),
    market.indicators(hours(4), "p"),
    calendar.current_session(),
    calendar.momentum(1, 5, 20, 60, 120, 250, volatility=20),
    calendar.cycles("day", "week"),
    opinion.tone(hours(1), days(1), base=days(7)),
    opinion.decay(minutes(30), hours(3)),
    opinion.attention(hours(1), days(1), base=days(7)),
    opinion.texture(days(1), days(7)),
    opinion.with_returns((hours(1), minutes(15)), (days(1), hours(1))),
)
_INTRADAY_MARKET = MarketRule(
    interval_us=5 * MINUTE_US,
    gather_us=0,
    settle_us=5 * MINUTE_US,  # the interval before: a replay goes on while the next is gathered
    waits=False,
    kept_us=4 * HOUR_US,
    fresh_us=30 * MINUTE_US,
    move="return_log_5m",
    ranked=(
        "return_log_5m",
        "return_log_1h",
        "volatility_realised_1h",
        "volume_surprise_30m",
        "imbalance_signed_30m",
        "sentiment_mean_1d",
        "news_count_1d",
    ),
)
INTRADAY = FeatureSet(
    name="intraday",
    version=4,
    pane_us=MINUTE_US,
    pane_window_us=4 * HOUR_US,
    panes_kept=None,
    sessions_kept=252,  # 251 closes give 250 returns; the newest session may be open
    news_window=days(7),
    story_window=days(3),
    evidence_window=days(1),
    warmup_panes=30,
    market=_INTRADAY_MARKET,
    groups=(
        *_INTRADAY_OWN,
        relative.context(minutes(5), hours(1), sentiment="sentiment_mean_1d"),
        relative.excess(minutes(5), hours(1)),
        relative.exposure(hours(4), 12, hours(1)),
        relative.standing(_INTRADAY_MARKET.ranked, _INTRADAY_OWN, less_mean=("sentiment_mean_1d",)),
        membership(),
    ),
)

_DAILY_OWN = (
    market.returns(*map(sessions, (1, 5, 10, 20, 60, 120, 250))),
    market.last_pane("1d"),
    market.volatility(sessions(5), sessions(20), base=sessions(60)),
    market.flow(sessions(1), sessions(5), base=sessions(20)),
    market.ranges(sessions(1), sessions(20), sessions(250)),
    market.illiquidity(sessions(20)),
    market.indicators(None, "d"),
    calendar.cycles("week", "year"),
    opinion.tone(days(1), days(7), base=days(30)),
    opinion.decay(hours(6), days(1)),
    opinion.attention(days(1), days(7), base=days(30)),
    opinion.texture(days(3), days(30)),
    opinion.with_returns((days(1), sessions(1)), (days(7), sessions(5))),
)
_DAILY_MARKET = MarketRule(
    interval_us=None,
    gather_us=15 * MINUTE_US,
    settle_us=90 * MINUTE_US,  # a replay's hourly beats: one to gather, the next one waits
    waits=True,
    kept_us=sessions_us(60),
    fresh_us=5 * DAY_US,
    move="return_log_1d",
    ranked=(
        "return_log_1d",
        "return_log_5d",
        "return_log_20d",
        "return_log_60d",
        "volatility_realised_20d",
        "volume_surprise_1d",
        "sentiment_mean_1d",
        "news_count_1d",
    ),
)
DAILY = FeatureSet(
    name="daily",
    version=4,
    pane_us=None,
    pane_window_us=None,
    panes_kept=251,
    sessions_kept=6,  # only for the after-close share
    news_window=days(30),
    story_window=days(7),
    evidence_window=days(3),
    warmup_panes=60,
    market=_DAILY_MARKET,
    groups=(
        *_DAILY_OWN,
        relative.context(sessions(1), sessions(5), sessions(20), sentiment="sentiment_mean_1d"),
        relative.excess(sessions(1), sessions(5), sessions(20)),
        relative.exposure(sessions(60), 40, sessions(1), sessions(5)),
        relative.standing(_DAILY_MARKET.ranked, _DAILY_OWN, less_mean=("sentiment_mean_1d",)),
        membership(),
    ),
)

FEATURE_SETS: dict[str, FeatureSet] = {each.name: each for each in (INTRADAY, DAILY)}
