"""What became of signals: labelled as training labels its rows, as soon as they have matured.

    as_of        entry          exit            newest pane of the partition
    --|-----------[==]----------[==]---------------|     labelled
    --|----- longest wait -----|------ horizon ------|   no entry: not looked at again

An outcome hangs on symbol, moment and horizon, not on the model: champion and challenger share it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import groupby, islice
from operator import itemgetter
from typing import NamedTuple

import numpy as np
import psycopg
from psycopg import sql

from stream.database import explained
from stream.errors import Refused
from stream.events import micros, moment
from training.barriers import first_touch
from training.history import History, open_history
from training.label_rules import LABEL_RULES, LabelRule, label_rule
from training.labels import Floats, Ints, Left, classes, forward_returns
from training.prices import Tape, price_path
from training.stored_tapes import StoredTapes

_BATCH = 10_000  # signals of one symbol that are labelled together
_SILENT = timedelta(days=30)  # behind the newest pane of all, a partition without one is over
_FIRST = datetime(1970, 1, 2, tzinfo=UTC)
_MODELS = "SELECT DISTINCT feature_set, horizon FROM ml_models"
_SETS = "SELECT DISTINCT policy->>'feature_set' FROM policies"
_PENDING = """
SELECT DISTINCT ON (s.symbol, s.as_of, s.signal_id) s.symbol, s."partition", s.signal_id, s.as_of,
    CASE WHEN s.features_by_name IS NULL
        THEN s.features[array_position(n.names, %(volatility)s)]
        ELSE (s.features_by_name ->> %(volatility)s)::double precision
    END
FROM scored_signals s
LEFT JOIN feature_sets n ON n.feature_set = s.feature_set AND n.version = s.feature_set_version
WHERE s.feature_set = %(feature_set)s AND s.horizon = %(horizon)s AND s.as_of >= %(since)s
    AND NOT EXISTS (SELECT FROM outcomes o WHERE o.as_of = s.as_of AND o.signal_id = s.signal_id)
ORDER BY s.symbol, s.as_of, s.signal_id
"""
_NEWEST = """
SELECT "partition", max(bar_end) FROM bars
WHERE origin = %(origin)s AND bar_end > (SELECT max(bar_end) - %(silent)s FROM bars)
GROUP BY 1
"""
_STORE = """
INSERT INTO outcomes (
    signal_id, as_of, symbol, horizon, entry_at, exit_at, forward_return, y, left_out, matured_at
)
SELECT * FROM unnest(
    %s::text[], %s::timestamptz[], %s::text[], %s::text[], %s::timestamptz[], %s::timestamptz[],
    %s::float8[], %s::smallint[], %s::text[], %s::timestamptz[]
)
ON CONFLICT DO NOTHING
"""


class Outcome(NamedTuple):
    """One row of `outcomes`; where there is no class, `left_out` says why."""

    signal_id: str
    as_of: datetime
    symbol: str
    horizon: str
    entry_at: datetime | None = None
    exit_at: datetime | None = None
    forward_return: float | None = None
    y: int | None = None
    left_out: str | None = None
    matured_at: datetime | None = None


class Pending(NamedTuple):
    """A signal without an outcome; `volatility` as it was served with the signal."""

    symbol: str
    partition: int
    signal_id: str
    as_of: datetime
    volatility: float | None


def record_outcomes(dsn: str, schema: str, since: datetime | None = None) -> Counter[str]:
    """Store every outcome that has matured and is missing; returns how many by what they are.

    Safe to stop and to run again, also twice at a time.

    Parameters
    ----------
    since : first as_of to look at.

    Raises
    ------
    Unavailable, Refused
        The database does not answer, refuses us, or lacks the tables.
    """
    counts: Counter[str] = Counter()
    try:
        with open_history(dsn, schema) as history, psycopg.connect(dsn, autocommit=True) as store:
            path = sql.SQL("SET search_path = {}, public").format(sql.Identifier(schema))
            store.execute(path)
            for found, n_unmatured in matured(history, since or _FIRST):
                if found:
                    store.execute(_STORE, list(map(list, zip(*found, strict=True))))
                counts.update(one.left_out or "labelled" for one in found)
                counts["unmatured"] += n_unmatured
    except psycopg.errors.InsufficientPrivilege as error:
        raise Refused(f"TAPEWIRE_DATABASE: {error}".strip()) from error
    except psycopg.OperationalError as error:
        raise explained(error) from error
    return counts


def matured(history: History, since: datetime) -> Iterator[tuple[list[Outcome], int]]:
    """Batches of what has matured and is not stored, with how many of the batch have not yet."""
    connection = history.connection
    tapes = StoredTapes(connection, history.tape)
    found = connection.execute(_NEWEST, {"origin": tapes.origin, "silent": _SILENT}).fetchall()
    newest: dict[int, datetime] = dict(found)
    over = max(newest.values(), default=_FIRST) - _SILENT
    for feature_set, rule in _rules(connection):
        given = {"feature_set": feature_set, "horizon": rule.horizon, "since": since,
                 "volatility": rule.volatility}  # fmt: skip
        with closing(connection.cursor(name="pending")) as cursor:
            cursor.itersize = _BATCH
            cursor.execute(_PENDING, given)
            for symbol, rows in groupby(cursor, key=itemgetter(0)):
                while batch := [Pending(*row) for row in islice(rows, _BATCH)]:
                    tape = tapes.read(symbol, feature_set, *_reach(batch, rule))
                    seen = newest.get(batch[0].partition, over)
                    yield label(batch, tape, rule, micros(seen))


def label(
    pending: Sequence[Pending], tape: Tape, rule: LabelRule, newest_us: int
) -> tuple[list[Outcome], int]:
    """Outcomes of signals of one symbol, and how many have none yet.

    Parameters
    ----------
    tape : of the symbol, through the reach of the first and the last signal.
    newest_us : end of the newest pane that the archive has of the symbol's partition; another
        pane may still come behind it, but not a whole horizon.
    """
    as_of = np.array([micros(one.as_of) for one in pending], dtype=np.int64)
    volatility = np.array([one.volatility for one in pending], dtype=np.float64)
    volatility *= rule.volatility_scale
    round_trip = rule.costs.round_trip(_last_price(as_of, tape))
    path = price_path(tape, rule)
    labels = forward_returns(as_of, path, rule, newest_us - rule.horizon_us)
    if rule.barrier is not None:
        width = np.maximum(rule.barrier * volatility, round_trip)
        labels = first_touch(labels, path, width)
    y = classes(labels.forward_return, volatility, rule, round_trip)
    exits = np.searchsorted(path.at_us, labels.exit_us)
    found = []
    for i, one in enumerate(pending):
        left = Left(int(labels.left[i]))
        outcome = Outcome(one.signal_id, one.as_of, one.symbol, rule.horizon)
        if left is Left.LABELLED:
            classed = not np.isnan(volatility[i])
            found.append(
                outcome._replace(
                    entry_at=moment(int(labels.entry_us[i])),
                    exit_at=moment(int(labels.exit_us[i])),
                    forward_return=float(labels.forward_return[i]),
                    y=int(y[i]) if classed else None,
                    left_out=None if classed else "no volatility",
                    matured_at=moment(int(path.end_us[exits[i]])),
                )
            )
        elif left is not Left.UNMATURED:
            found.append(outcome._replace(left_out=left.name.lower().replace("_", " ")))
    return found, len(pending) - len(found)


def _rules(connection: psycopg.Connection) -> list[tuple[str, LabelRule]]:
    """Of the horizons that stored models have, and of the rules model's."""
    models = connection.execute(_MODELS).fetchall()
    ruled = [(name, label_rule(name).horizon) for (name,) in connection.execute(_SETS)]
    return [
        (feature_set, LABEL_RULES[feature_set][horizon])
        for feature_set, horizon in sorted({*models, *ruled})
        if horizon in LABEL_RULES.get(feature_set, {})
    ]


def _reach(batch: Sequence[Pending], rule: LabelRule) -> tuple[datetime, datetime]:
    """The span of what the labels of a batch hang on; sessions may take twice their horizon."""
    before = timedelta(microseconds=rule.max_wait_us)
    after_us = rule.latency_us + rule.max_wait_us + 2 * rule.horizon_us + rule.max_exit_wait_us
    return batch[0].as_of - before, batch[-1].as_of + timedelta(microseconds=after_us)


def _last_price(as_of: Ints, tape: Tape) -> Floats:
    """The newest closed pane's close at each moment; NaN where there is none."""
    ends = np.array([pane.end for pane in tape.panes], dtype=np.int64)
    closes: Floats = np.array([*(pane.close for pane in tape.panes), np.nan])
    return closes[np.searchsorted(ends, as_of, side="right") - 1]
