"""The feature vectors that were stored with signals, as rows to set beside training's."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import psycopg

from stream.events import moment
from stream.scoring.policy import Policy
from training.labels import Floats
from training.stored_log import Rows

_FETCH = 1_000
_VECTORS = """
SELECT symbol, trigger, trigger_ref, revision,
    (extract(epoch FROM as_of) * 1000000)::bigint AS as_of_us,
    features, sentiment_models <@ %(models)s::text[]
FROM signals
WHERE "partition" = %(partition)s AND feature_set = %(feature_set)s
    AND feature_set_version = %(version)s AND trigger <> 'tick' AND features_by_name IS NULL
    AND as_of >= coalesce(%(since)s::timestamptz, '-infinity')
    AND as_of < coalesce(%(until)s::timestamptz, 'infinity')
ORDER BY as_of, "offset"
"""

Key = tuple[str, str, str, int]  # symbol, trigger, trigger_ref, revision


class Vector(NamedTuple):
    """One row. values : NaN is no data. None: scores of another sentiment model were in it."""

    key: Key
    as_of_us: int
    values: Floats | None


def stored_vectors(
    connection: psycopg.Connection,
    partition: int,
    policy: Policy,
    model: str | None,
    since_us: int | None,
    until_us: int | None,
) -> Rows[Vector]:
    """The vectors stored with a partition's signals, as_of in [since, until), in its order."""
    given = {
        "partition": partition,
        "feature_set": policy.feature_set,
        "version": policy.feature_set_version,
        "models": [] if model is None else [model],
        "since": None if since_us is None else moment(since_us),
        "until": None if until_us is None else moment(until_us),
    }
    with connection.cursor(name=f"served_{partition}", binary=True) as cursor:
        cursor.itersize = _FETCH
        for *key, as_of_us, values, own in cursor.execute(_VECTORS, given):
            yield Vector(tuple(key), as_of_us, np.array(values, dtype=np.float64) if own else None)
