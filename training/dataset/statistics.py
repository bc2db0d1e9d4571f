"""What is in a dataset: counted column by column, so that it need not fit into memory at once."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from models.artifact import CLASSES
from stream.events import moment
from training.dataset.columns import CLASS
from training.dataset.manifest import Manifest
from training.dataset.parts import read_part
from training.labels import Floats

QUANTILES = (0.0, 0.01, 0.25, 0.5, 0.75, 0.99, 1.0)


class Column(msgspec.Struct, frozen=True):
    """How one column is distributed. missing: share of the rows, 0..1; quantiles: of the others."""

    missing: float
    quantiles: tuple[float, ...]  # as QUANTILES; none where no row has a value


class Statistics(msgspec.Struct, frozen=True):
    """Times as ISO 8601. left_out: rows left out and inputs not used, by reason."""

    n_rows: int
    first_as_of: str | None
    last_as_of: str | None
    last_exit: str | None
    rows_by_symbol: dict[str, int]
    rows_by_trigger: dict[str, int]
    left_out: dict[str, int]
    class_shares: dict[str, float]
    forward_return: Column
    features: dict[str, Column]
    constant: tuple[str, ...]  # features that never have a value, or one and the same in each row
    same: tuple[tuple[str, str], ...]  # features that are bit for bit an earlier one


def statistics(folder: Path, manifest: Manifest) -> Statistics:
    """Of a finished dataset. Raises Refused where a part is missing or damaged."""
    left_out: Counter[str] = Counter()
    rest = [CLASS, "symbol", "trigger", "as_of", "exit"]
    tables = []
    for partition in manifest.sizes:
        part, table = read_part(folder, manifest, manifest.part(partition), rest)
        left_out.update(part.counts)
        tables.append(table)
    rows = pa.concat_tables(tables, promote_options="permissive")
    shares = np.bincount(rows[CLASS].to_numpy(), minlength=3) / max(1, len(rows))

    first: dict[str, str] = {}  # digest of a column -> its name
    features, constant, same = {}, [], []
    for name in manifest.feature_names:
        values = _column(folder, manifest, name)
        features[name] = found = _distribution(values)
        if found.missing == 1.0 or (found.missing == 0.0 and len(set(found.quantiles)) == 1):
            constant.append(name)
            continue
        digest = hashlib.sha256(values.tobytes()).hexdigest()
        if digest in first:
            same.append((first[digest], name))
        first.setdefault(digest, name)
    return Statistics(
        n_rows=len(rows),
        first_as_of=_iso(pc.min(rows["as_of"])),
        last_as_of=_iso(pc.max(rows["as_of"])),
        last_exit=_iso(pc.max(rows["exit"])),
        rows_by_symbol=_counted(rows["symbol"]),
        rows_by_trigger=_counted(rows["trigger"]),
        left_out=dict(sorted(left_out.items())),
        class_shares=dict(zip(CLASSES, shares.tolist(), strict=True)),
        forward_return=_distribution(_column(folder, manifest, "forward_return")),
        features=features,
        constant=tuple(constant),
        same=tuple(same),
    )


def _column(folder: Path, manifest: Manifest, name: str) -> Floats:
    files = [manifest.part(each) for each in manifest.sizes]
    parts = [read_part(folder, manifest, each, [name])[1][name] for each in files]
    return np.concatenate([part.to_numpy() for part in parts])


def _distribution(values: Floats) -> Column:
    seen = values[~np.isnan(values)]
    quantiles = np.quantile(seen, QUANTILES).tolist() if len(seen) else []
    return Column(1.0 - len(seen) / max(1, len(values)), tuple(quantiles))


def _counted(column: pa.ChunkedArray) -> dict[str, int]:
    return dict(sorted(Counter(column.to_pylist()).items()))


def _iso(at: pa.Scalar) -> str | None:
    return moment(at.cast(pa.int64()).as_py()).isoformat() if at.is_valid else None
