"""What a backtest trades, out of SQL: each symbol's prices and its actionable signals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
import psycopg

from stream.days import midnight
from stream.errors import Refused
from stream.events import moment
from stream.features.adjust import Action
from training.backtest import Orders, Prices
from training.label_rules import LABEL_RULES, label_rule
from training.labels import Floats, Ints
from training.prices import held_worth

_US = "(extract(epoch FROM {}) * 1000000)::bigint"
_PUBLISHED = "signals"
# What one model said, published or in a shadow, where another said something too.
_PAIRED = """(
    SELECT s.* FROM scored_signals s
    WHERE s.model_version = %(version)s AND EXISTS (
        SELECT FROM scored_signals o
        WHERE o.as_of = s.as_of AND o.signal_id = s.signal_id AND o.model_version = %(beside)s
    )
)"""
# A revision stands until the next one of its key is known.
_SIGNALS = f"""
WITH standing AS (
    SELECT symbol, signal_id, revision, as_of, valid_until, direction, actionable,
        lead(as_of) OVER (PARTITION BY symbol, signal_key ORDER BY revision) AS replaced_at
    FROM {{source}} AS chosen
)
SELECT symbol, {_US.format("as_of")}, {_US.format("valid_until")}, {_US.format("replaced_at")},
    CASE direction WHEN 'BULLISH' THEN 1 WHEN 'BEARISH' THEN -1 ELSE 0 END
FROM standing
WHERE actionable AND as_of >= %(since)s AND as_of < %(until)s
ORDER BY symbol, as_of, revision, signal_id
"""
_HORIZONS = """
SELECT DISTINCT horizon FROM {source} AS chosen
WHERE actionable AND as_of >= %(since)s AND as_of < %(until)s ORDER BY 1
"""
_SETS = "SELECT DISTINCT policy->>'feature_set' FROM policies"
# A session is bought at its open, a shorter pane at the mean price of what was traded in it.
_PANES = f"""
SELECT DISTINCT ON (bar_start) {_US.format("bar_start")}, {_US.format("bar_end")},
    CASE WHEN %(at_open)s THEN open ELSE coalesce(notional / nullif(volume, 0), vwap, close) END,
    adj_close / close
FROM bars
WHERE origin = %(origin)s AND symbol = %(symbol)s
    AND bar_start >= %(since)s AND bar_end <= %(until)s
ORDER BY bar_start, kafka_ts, topic_id, "partition", "offset"
"""
_SYMBOLS = """
SELECT DISTINCT symbol FROM bars
WHERE origin = %(origin)s AND bar_start >= %(since)s AND bar_end <= %(until)s ORDER BY 1
"""
_ACTIONS = """
SELECT symbol, kind, ex_date, value FROM actions ORDER BY kafka_ts, topic_id, "partition", "offset"
"""
_NEVER = np.iinfo(np.int64).max
_FIRST, _LAST = datetime(1970, 1, 2, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)


class Traded(NamedTuple):
    """By symbol; `orders` only of those with a signal, `prices` only of those with two panes.

    sessions : panes that a signal of this feature set is held for; None: until it is not valid.
    """

    prices: Mapping[str, Prices]
    orders: Mapping[str, Orders]
    sessions: int | None
    without_price: int  # actionable signals of symbols that have no prices


def traded(
    connection: psycopg.Connection,
    tape: str,
    since_us: int | None,
    until_us: int | None,
    pair: tuple[str, str] | None = None,
) -> Traded:
    """Read what was known and traded in [since, until).

    Parameters
    ----------
    pair : orders of the first model version only, where the second has a signal too; else of what
        was published.

    Raises
    ------
    Refused
        The span holds no prices, or daily signals of several horizons, or the policies name not
        just one feature set.
    """
    span = {
        "since": _FIRST if since_us is None else moment(since_us),
        "until": _LAST if until_us is None else moment(until_us),
    }
    sets = [name for (name,) in connection.execute(_SETS)]
    if len(sets) != 1 or sets[0] not in LABEL_RULES:
        raise Refused(
            f"policies: expected one feature set of {', '.join(LABEL_RULES)}, got "
            f"{' and '.join(map(str, sets)) or 'none'}"
        )
    version, beside = pair or (None, None)
    source = _PAIRED if pair else _PUBLISHED
    chosen = {**span, "version": version, "beside": beside}
    sessions = _sessions(connection, sets[0], _HORIZONS.format(source=source), chosen)
    origin = "bar" if tape == "bars" else "pane"
    given = {**span, "origin": origin, "at_open": sessions is not None}
    actions = known_actions(connection)
    prices = {}
    for (symbol,) in connection.execute(_SYMBOLS, given).fetchall():
        rows = connection.execute(_PANES, {**given, "symbol": symbol}).fetchall()
        if len(rows) > 1:
            prices[symbol] = _prices(rows, actions.get(symbol, []))
    if not prices:
        raise Refused(
            "prices: expected two stored bars or panes of a symbol in the span, found none; load "
            "history or widen --since and --until"
        )
    found = connection.execute(_SIGNALS.format(source=source).encode(), chosen).fetchall()
    orders = _orders(found, sessions is not None)
    gone = sum(len(each.side) for symbol, each in orders.items() if symbol not in prices)
    kept = {symbol: each for symbol, each in orders.items() if symbol in prices}
    return Traded(prices, kept, sessions, gone)


def _sessions(
    connection: psycopg.Connection, feature_set: str, query: str, chosen: Mapping[str, Any]
) -> int | None:
    """For how many panes signals are held, where a pane is a session."""
    if label_rule(feature_set).sessions is None:
        return None
    horizons = [horizon for (horizon,) in connection.execute(query.encode(), chosen)]
    if len(horizons) > 1:
        raise Refused(
            f"signals: expected actionable ones of one horizon, got {' and '.join(horizons)}; "
            "choose a span of one model with --since and --until"
        )
    return label_rule(feature_set, *horizons).sessions


def _orders(rows: list[tuple[Any, ...]], by_sessions: bool) -> dict[str, Orders]:
    by_symbol: defaultdict[str, list[tuple[int, int, int]]] = defaultdict(list)
    for symbol, as_of, valid_until, replaced_at, side in rows:
        ends = [
            _NEVER if by_sessions else valid_until,
            _NEVER if replaced_at is None else replaced_at,
        ]
        by_symbol[symbol].append((as_of, min(ends), side))
    return {
        symbol: Orders(*np.array(found, dtype=np.int64).T) for symbol, found in by_symbol.items()
    }


def _prices(rows: list[tuple[Any, ...]], actions: list[Action]) -> Prices:
    start: Ints = np.array([row[0] for row in rows], dtype=np.int64)
    end: Ints = np.array([row[1] for row in rows], dtype=np.int64)
    price: Floats = np.array([row[2] for row in rows], dtype=np.float64)
    if all(row[3] is not None for row in rows):
        adjusted = price * np.array([row[3] for row in rows], dtype=np.float64)
        return Prices(start, price, adjusted[1:] / adjusted[:-1])
    worth = held_worth(price[1:], end[:-1], end[1:], actions) / price[:-1]
    return Prices(start, price, worth)


def known_actions(connection: psycopg.Connection) -> dict[str, list[Action]]:
    """As the engine knows them: the last record of a symbol's day and kind."""
    known: dict[tuple[str, int, str], Action] = {}
    for symbol, kind, ex_date, value in connection.execute(_ACTIONS):
        ex_at = midnight(ex_date)
        known[symbol, ex_at, kind] = Action(ex_at, kind, value)
    found: defaultdict[str, list[Action]] = defaultdict(list)
    for (symbol, _, _), action in known.items():
        found[symbol].append(action)
    return found
