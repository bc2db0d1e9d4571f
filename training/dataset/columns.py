"""A training table as Arrow columns and back, bit for bit.

A column for each array of the table, times as UTC timestamps; the class; a column a feature, by
its name, null where it is missing. A sequence of panes is a list a row, NaN where it is missing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stream.features.sequence import CHANNELS, LENGTH
from training.fingerprint import arrays
from training.rows import TrainingTable

CLASS = "class"  # 0 bearish, 1 neutral, 2 bullish
_US = "_us"


def to_arrow(rows: TrainingTable) -> pa.Table:
    """The columns, in the table's own order, then the class and the features."""
    columns: dict[str, pa.Array] = {}
    for name, values in arrays(rows).items():
        if name.endswith(_US):
            columns[name.removesuffix(_US)] = pa.array(values, pa.timestamp("us", "UTC"))
        elif values.ndim > 1:
            flat = pa.array(values.ravel())
            columns[name] = pa.FixedSizeListArray.from_arrays(flat, LENGTH * len(CHANNELS))
        elif values.dtype.kind == "U":
            columns[name] = pa.array(values, pa.string()).dictionary_encode()
        else:
            columns[name] = pa.array(values, from_pandas=True)
    columns[CLASS] = pa.array(rows.y, pa.int8())
    for name, values in zip(rows.feature_names, rows.x.T, strict=True):
        columns[name] = pa.array(np.ascontiguousarray(values), from_pandas=True)
    return pa.table(columns)


def from_arrow(table: pa.Table, **facts: Any) -> TrainingTable:
    """The training table; `facts` are its fields that are no columns."""
    names: Sequence[str] = facts["feature_names"]
    x = np.empty((table.num_rows, len(names)))
    for i, name in enumerate(names):
        x[:, i] = table[name].to_numpy()
    for each in fields(TrainingTable):
        column = each.name.removesuffix(_US)
        if column in table.column_names:
            facts[each.name] = values_of(table[column])
    if "sequence" in facts:
        facts["sequence"] = facts["sequence"].reshape(-1, LENGTH, len(CHANNELS))
    return TrainingTable(x=x, **facts)


def joined(parts: Sequence[TrainingTable]) -> TrainingTable:
    """The rows of all parts in the order of `TrainingTable`; a symbol is in one part only."""
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("x", *arrays(parts[0]))
    }
    counts: Counter[str] = Counter()
    for part in parts:
        counts.update(part.counts)
    together = replace(parts[0], **columns, counts=dict(sorted(counts.items())))
    order = np.lexsort((together.trigger, together.symbol, together.as_of_us))
    return together.take(order)


def values_of(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    """A column as an array; times in microseconds."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    if pa.types.is_dictionary(column.type):
        one = column.unify_dictionaries().combine_chunks()
        texts: npt.NDArray[Any] = np.array(one.dictionary.to_pylist(), dtype=np.str_)
        column_of: npt.NDArray[Any] = texts[one.indices.to_numpy()]
        return column_of
    if pa.types.is_fixed_size_list(column.type):
        return np.asarray(column.combine_chunks().flatten())
    found: npt.NDArray[Any] = column.to_numpy()
    return found
