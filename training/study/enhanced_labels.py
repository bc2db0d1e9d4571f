"""Enhanced labels as Parquet, one row an article's revision and symbol, in time order.

article_id, revision, symbol, source   the article as it was scored
text_hash     of the text that was scored: the key to it
known_at      when the score was known; entry, exit: what the reaction was measured between.
              A label is known at `exit`: who trains on it judges on later articles only
text_score    P(positive) - P(negative)
market_relative_return   from entry to exit, less the market's, a fraction
reaction      the same in units of the volatility known at as_of, clipped to -4..4
target        -1..1: what the text score should have been (2 Phi(reaction) - 1)
enhanced      -1..1: the same, foretold out of fold; null in the rows before the first judge
              block, which no fold judged
fold          the judge block, from 0; null likewise
weight        average uniqueness: they sum to the number of independent reactions
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from training.dataset.manifest import write_whole
from training.study.enhancement import BOTH, Enhanced
from training.weights import uniqueness

_KEY = b"tapewire"


class Facts(msgspec.Struct, frozen=True):
    """What the file says of itself, under the metadata key `tapewire`."""

    feature_set: str
    feature_set_version: int
    horizon: str
    sentiment_model: str | None
    learner: str
    seed: int


def to_arrow(enhanced: Enhanced) -> pa.Table:
    """The columns; see the module."""
    found, rows = enhanced.articles, enhanced.articles.rows
    unjudged = enhanced.fold < 0
    market = np.zeros(len(rows)) if rows.market_return is None else rows.market_return
    times = {"known_at": rows.as_of_us, "entry": rows.entry_us, "exit": rows.exit_us}
    return pa.table(
        {
            "article_id": found.article_id,
            "revision": pa.array(found.revision, pa.int32()),
            "symbol": rows.symbol,
            "source": found.source,
            "text_hash": found.text_hash,
            **{name: pa.array(us, pa.timestamp("us", "UTC")) for name, us in times.items()},
            "text_score": found.score,
            "market_relative_return": rows.forward_return - market,
            "reaction": rows.relative_target,
            "target": enhanced.target,
            "enhanced": pa.array(enhanced.scores[BOTH], mask=unjudged),
            "fold": pa.array(enhanced.fold, pa.int8(), mask=unjudged),
            "weight": uniqueness(rows),
        }
    )


def write_labels(path: Path, enhanced: Enhanced, learner: str, seed: int) -> None:
    """Write them; the file is there whole or not at all."""
    rows = enhanced.articles.rows
    facts = Facts(
        feature_set=rows.feature_set,
        feature_set_version=rows.feature_set_version,
        horizon=rows.rule.horizon,
        sentiment_model=rows.sentiment_model,
        learner=learner,
        seed=seed,
    )
    table = to_arrow(enhanced).replace_schema_metadata({_KEY: msgspec.json.encode(facts)})
    write_whole(path, lambda file: pq.write_table(table, file, compression="zstd"))
