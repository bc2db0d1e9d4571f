"""A dataset's Parquet files, one a partition: each is there whole, and says of which run it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stream.errors import Refused
from training.dataset.columns import from_arrow, to_arrow
from training.dataset.manifest import Manifest, write_whole
from training.prices import PricePath
from training.rows import TrainingTable

_KEY = b"tapewire"


class Part(msgspec.Struct, frozen=True):
    """What a file says of itself. counts: rows left out and inputs not used, by reason."""

    run_id: str
    counts: Mapping[str, int]


def write_rows(folder: Path, manifest: Manifest, name: str, rows: TrainingTable) -> None:
    """Write the rows of one partition."""
    _write(folder, manifest, name, to_arrow(rows), rows.counts)


def write_prices(
    folder: Path, manifest: Manifest, name: str, paths: Mapping[str, PricePath]
) -> None:
    """Write what a partition's symbols traded at, in time order each."""
    symbols = sorted(paths)
    counts = np.array([len(paths[each].price) for each in symbols], dtype=np.int64)
    owner = np.repeat(np.arange(len(symbols)), counts)
    columns = {
        "symbol": pa.DictionaryArray.from_arrays(
            pa.array(owner, pa.int32()), pa.array(symbols, pa.string())
        ),
        "at_us": np.concatenate([np.empty(0, np.int64), *(paths[each].at_us for each in symbols)]),
        "price": np.concatenate([np.empty(0), *(paths[each].price for each in symbols)]),
    }
    _write(folder, manifest, name, pa.table(columns), {})


def _write(
    folder: Path, manifest: Manifest, name: str, table: pa.Table, counts: Mapping[str, int]
) -> None:
    told = msgspec.json.encode(Part(manifest.run_id, counts))
    table = table.replace_schema_metadata({_KEY: told})

    def write(file: object) -> None:
        pq.write_table(table, file, compression="zstd", write_page_checksum=True)

    write_whole(folder / name, write)


def is_there(folder: Path, manifest: Manifest, name: str) -> bool:
    """Whether the file is there. Raises Refused where it is of another run."""
    path = folder / name
    if not path.exists():
        return False
    try:
        schema = pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from None
    _check_run(path, schema, manifest)
    return True


def read_rows(folder: Path, manifest: Manifest, name: str) -> TrainingTable:
    """The rows of one partition. Raises Refused as `read_part`."""
    part, table = read_part(folder, manifest, name)
    return from_arrow(
        table,
        feature_set=manifest.policy.feature_set,
        feature_set_version=manifest.policy.feature_set_version,
        feature_names=manifest.feature_names,
        sentiment_model=manifest.sentiment_model,
        rule=manifest.rule,
        counts=part.counts,
    )


def read_part(
    folder: Path, manifest: Manifest, name: str, columns: list[str] | None = None
) -> tuple[Part, pa.Table]:
    """The file `name`, or some columns of it.

    Raises
    ------
    Refused
        It is not there, damaged, or of another run.
    """
    path = folder / name
    try:
        table = pq.read_table(path, columns=columns, page_checksum_verification=True)
    except FileNotFoundError:
        raise Refused(
            f"{path}: expected it in a finished dataset, found no such file; "
            "finish the dataset: tapewire dataset build --resume"
        ) from None
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from None
    return _check_run(path, table.schema, manifest), table


def _check_run(path: Path, schema: pa.Schema, manifest: Manifest) -> Part:
    told = (schema.metadata or {}).get(_KEY, b"{}")
    try:
        part = msgspec.json.decode(told, type=Part)
    except msgspec.DecodeError as error:
        raise _damaged(path, error) from None
    if part.run_id != manifest.run_id:
        raise Refused(
            f"{path}: expected a file of run {manifest.run_id}, got one of {part.run_id}; "
            "delete it and run tapewire dataset build --resume"
        )
    return part


def _damaged(path: Path, error: Exception) -> Refused:
    said = str(error).splitlines()[0]
    return Refused(
        f"{path}: expected a whole Parquet file, got {said}; "
        "delete it and run tapewire dataset build --resume"
    )
