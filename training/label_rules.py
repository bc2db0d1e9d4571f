"""How rows are labelled, by feature set and horizon. The first horizon is the default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import sqrt
from typing import Literal

from stream.errors import Refused
from stream.features.panes import DAY_US, MINUTE_US
from training.costs import DAILY, INTRADAY, Costs

SECOND_US = 1_000_000


@dataclass(frozen=True)
class LabelRule:
    """One way to label. Returns and costs are fractions, times us.

    horizon_us : how long a signal is valid; the horizon itself where `sessions` is None.
    sessions : the horizon in sessions: to the same time of a later session, or, where a pane is a
        session, to a later pane.
    price : at which a pane is traded. `previous close` is the newest one at as_of, at which nobody
        could have traded: for comparison with published figures.
    latency_us : from as_of to the market.
    max_wait_us, max_exit_wait_us : for a pane to trade in; a row that waits longer is left out.
    over_close : whether a position may be held over the close of its session.
    volatility, volatility_scale : the feature that holds it, and what scales it to the horizon.
    k : of the horizon's volatility, for a move to count as one; or the round trip, if that is more.
    barrier : in units of the horizon's volatility; the first pane that trades so far away from the
        entry ends the label. None: only the horizon does.
    """

    horizon: str
    horizon_us: int
    sessions: int | None
    price: Literal["vwap", "open", "previous close"]
    latency_us: int
    max_wait_us: int
    max_exit_wait_us: int
    over_close: bool
    volatility: str
    volatility_scale: float
    costs: Costs
    k: float = 0.5
    barrier: float | None = None

    @property
    def cost(self) -> float:
        """The least round trip."""
        return 2.0 * self.costs.per_side

    @property
    def tradable(self) -> bool:
        """Whether the entry comes after as_of."""
        return self.price != "previous close"


_30M = LabelRule(
    horizon="30m",
    horizon_us=30 * MINUTE_US,
    sessions=None,
    price="vwap",
    latency_us=SECOND_US,
    max_wait_us=10 * MINUTE_US,
    max_exit_wait_us=10 * MINUTE_US,
    over_close=False,
    volatility="volatility_realised_1h",
    volatility_scale=sqrt(0.5),
    costs=INTRADAY,
)
_24H = replace(
    _30M,
    horizon="24h",
    horizon_us=DAY_US,
    max_exit_wait_us=4 * DAY_US,  # from a Friday over a long weekend
    over_close=True,
    volatility="volatility_sessions_20d",
    volatility_scale=sqrt(1 / 20),
)
_INTRADAY_2W = replace(
    _24H, horizon="2w", horizon_us=14 * DAY_US, sessions=10, volatility_scale=sqrt(10 / 20)
)
_1D = LabelRule(
    horizon="1d",
    horizon_us=DAY_US,
    sessions=1,
    price="open",
    latency_us=0,
    max_wait_us=7 * DAY_US,  # the longest that US markets were closed since 1933
    max_exit_wait_us=7 * DAY_US,
    over_close=True,
    volatility="volatility_realised_20d",
    volatility_scale=sqrt(1 / 20),
    costs=DAILY,
)
_2W = replace(
    _1D, horizon="2w", horizon_us=14 * DAY_US, sessions=10, volatility_scale=sqrt(10 / 20)
)

_RULES = {
    "intraday": (
        _30M,
        replace(_30M, horizon="30m-barrier", barrier=1.0),
        _24H,
        replace(_24H, horizon="1d", sessions=1),
        _INTRADAY_2W,
    ),
    "daily": (
        _1D,
        _2W,
        replace(_2W, horizon="2w-barrier", barrier=1.0),
        replace(_1D, horizon="1d-stocknet", price="previous close"),
    ),
}
LABEL_RULES: Mapping[str, Mapping[str, LabelRule]] = {
    feature_set: {rule.horizon: rule for rule in rules} for feature_set, rules in _RULES.items()
}


def label_rule(feature_set: str, horizon: str | None = None) -> LabelRule:
    """The rule of a feature set and horizon; None: its default one.

    Raises
    ------
    Refused
        No such feature set, or it has no such horizon.
    """
    rules = LABEL_RULES.get(feature_set)
    if rules is None:
        raise Refused(f"feature set: expected one of {', '.join(LABEL_RULES)}, got {feature_set!r}")
    if horizon is None:
        return next(iter(rules.values()))
    if horizon not in rules:
        raise Refused(
            f"horizon: expected one of {', '.join(rules)} for feature set {feature_set}, "
            f"got {horizon!r}"
        )
    return rules[horizon]
