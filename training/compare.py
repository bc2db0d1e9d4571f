"""Champion against challenger, on the outcomes of the same moments.

A day counts once a later one has begun and every signal of it that both models scored has an
outcome, and so have all days before: what has counted never changes, and may be looked at each day.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from itertools import takewhile
from typing import NamedTuple

import msgspec
import numpy as np
import psycopg

from models.rules import RulesModel
from stream.days import midnight
from stream.errors import Refused
from stream.features.panes import DAY_US
from training.backtest import Rules
from training.confidence import expected_length, interleaved
from training.history import History
from training.label_rules import label_rule
from training.strategies import SIGNALS, strategies
from training.traded import traded

MIN_DAYS = 20
WORST_BPS = -1.0  # a day, after costs, that a better log-loss may cost
CLIP = 0.01  # probabilities are cut to 0.01..0.99: no row decides alone

_CUT = ", ".join(
    f"least(greatest({model}.p_{name}, {CLIP}), {1 - CLIP}) AS {model}{y}"
    for model in "ab"
    for y, name in enumerate(("bearish", "neutral", "bullish"))
)
_DAYS = f"""
WITH pairs AS (
    SELECT a.as_of, a.signal_id, {_CUT}
    FROM scored_signals a
    JOIN scored_signals b ON b.as_of = a.as_of AND b.signal_id = a.signal_id
    WHERE a.model_version = %(champion)s AND b.model_version = %(challenger)s
)
SELECT (p.as_of AT TIME ZONE 'UTC')::date,
    count(o.y),
    count(*) FILTER (WHERE o.as_of IS NULL),
    avg(CASE o.y WHEN 0 THEN ln(b0 / a0) WHEN 1 THEN ln(b1 / a1) WHEN 2 THEN ln(b2 / a2) END),
    avg(CASE WHEN o.y IS NOT NULL THEN
        greatest(abs(ln(b0 / a0)), abs(ln(b1 / a1)), abs(ln(b2 / a2)))
    END)
FROM pairs p LEFT JOIN outcomes o ON o.as_of = p.as_of AND o.signal_id = p.signal_id
GROUP BY 1 ORDER BY 1
"""
_NTH = """
WITH first_moves AS (
    SELECT to_version, min(id) AS id FROM ml_alias_moves
    WHERE alias = 'challenger' AND to_version IS NOT NULL GROUP BY 1
)
SELECT count(*) FILTER (WHERE to_version <> %(version)s AND id < coalesce(
    (SELECT id FROM first_moves WHERE to_version = %(version)s), %(never)s
)) + 1 FROM first_moves
"""
_RULE = "SELECT feature_set, horizon FROM scored_signals WHERE model_version = %s LIMIT 1"
_ALIAS = "SELECT version FROM ml_aliases WHERE alias = %s"


class Day(NamedTuple):
    """One UTC day's rows that both models scored.

    better : mean log-loss of the champion less that of the challenger, in nats.
    bound : mean over rows of the largest difference that any outcome could have made.
    """

    day: date
    n: int
    pending: int
    better: float | None
    bound: float | None


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """What is known by now. better, low, high: nats a row, up is good for the challenger.

    alpha : this challenger's share, of both sides of the interval.
    overlap_days : so many days in a row have outcomes that overlap.
    days_to_go : until the interval leaves out 0 if days go on so; None: never.
    return_bps : challenger's less champion's return a day, after costs; None without a day.
    missing : what a promotion still asks for; empty: nothing.
    """

    champion: str
    challenger: str
    days: int
    rows: int
    days_waiting: int
    alpha: float
    overlap_days: int
    better: float | None
    low: float | None
    high: float | None
    days_to_go: int | None
    return_bps: float | None
    missing: tuple[str, ...]


class NoChallenger(Refused):
    """There is nobody to compare the champion with."""


def contestants(
    connection: psycopg.Connection, champion: str | None, challenger: str | None
) -> tuple[str, str]:
    """The two versions: as given, else as the aliases say; without a champion the rules model.

    Raises
    ------
    NoChallenger
        None has the alias, or both are one model.
    """
    named = {alias: _alias(connection, alias) for alias in ("champion", "challenger")}
    one = champion or named["champion"] or RulesModel.version
    other = challenger or named["challenger"]
    if other is None:
        raise NoChallenger(
            "challenger: expected --challenger or a model under the alias, found neither; "
            "tapewire models promote VERSION --alias challenger"
        )
    if one == other:
        raise NoChallenger(f"champion and challenger: expected two models, got {one} twice")
    return one, other


def compare(
    history: History, champion: str, challenger: str, *, alpha: float, cost_bps: float
) -> Judgement:
    """Judge the challenger on every matured day that both models scored.

    The k-th challenger that ever had the alias has alpha / (k (k + 1)): all of them together alpha.

    Parameters
    ----------
    cost_bps : of each side of a trade.
    """
    given = {"champion": champion, "challenger": challenger}
    found = [Day(*row) for row in history.connection.execute(_DAYS.encode(), given).fetchall()]
    days = matured_days(found)
    nth = history.connection.execute(_NTH, {"version": challenger, "never": 2**62}).fetchone()
    k = nth[0] if nth else 1
    own_alpha = alpha / (k * (k + 1))
    return_bps = _return_bps(history, champion, challenger, days, cost_bps)
    overlap = _overlap(history.connection, challenger)
    x = np.array([day.better for day in days], dtype=np.float64)
    bound = np.array([day.bound for day in days], dtype=np.float64)
    sure = interleaved(x, bound, own_alpha, overlap)
    length = expected_length(x, bound, own_alpha, overlap)
    judged = Judgement(
        champion=champion,
        challenger=challenger,
        days=len(days),
        rows=sum(day.n for day in days),
        days_waiting=len(found) - len(days),
        alpha=own_alpha,
        overlap_days=overlap,
        better=float(x.mean()) if len(x) else None,
        low=sure.low if np.isfinite(sure.low) else None,
        high=sure.high if np.isfinite(sure.high) else None,
        days_to_go=max(0, int(np.ceil(length)) - len(days)) if np.isfinite(length) else None,
        return_bps=return_bps,
        missing=(),
    )
    return msgspec.structs.replace(judged, missing=missing(judged))


def matured_days(days: Sequence[Day]) -> list[Day]:
    """The days that count: of `days` in order, up to the first that may still change."""
    settled = takewhile(lambda day: day.pending == 0, days[:-1])
    return [day for day in settled if day.n]


def missing(judged: Judgement) -> tuple[str, ...]:
    """What a promotion still asks for, each with what was found."""
    found = []
    if judged.days < MIN_DAYS:
        found.append(f"matured days: expected at least {MIN_DAYS}, got {judged.days}")
    if judged.low is None or judged.low <= 0.0:
        low = "none" if judged.low is None else f"{judged.low:.4g}"
        found.append(f"lower bound of the log-loss difference: expected over 0, got {low}")
    if judged.return_bps is None or judged.return_bps < WORST_BPS:
        bps = "none" if judged.return_bps is None else f"{judged.return_bps:.3g}"
        found.append(f"return a day after costs: expected at least {WORST_BPS:g} bp, got {bps}")
    return tuple(found)


def _return_bps(
    history: History, champion: str, challenger: str, days: Sequence[Day], cost_bps: float
) -> float | None:
    """The mean difference of daily returns, in basis points."""
    if not days:
        return None
    since_us, until_us = midnight(days[0].day), midnight(days[-1].day) + DAY_US
    one, other = (
        strategies(told, Rules())[SIGNALS].net(cost_bps / 1e4)
        for pair in ((champion, challenger), (challenger, champion))
        for told in [traded(history.connection, history.tape, since_us, until_us, pair)]
    )
    return float((other - one).mean() * 1e4)


def _overlap(connection: psycopg.Connection, challenger: str) -> int:
    row = connection.execute(_RULE, [challenger]).fetchone()
    if row is None:
        return 1
    rule = label_rule(*row)
    if not rule.over_close:
        return 1
    days = rule.sessions or -(-rule.horizon_us // DAY_US)
    return days if rule.price == "open" else days + 1


def _alias(connection: psycopg.Connection, alias: str) -> str | None:
    row = connection.execute(_ALIAS, [alias]).fetchone()
    return None if row is None else row[0]
