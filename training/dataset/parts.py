"""A dataset's Parquet files, one a partition: each is there whole, and says of which run it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from stream.errors import Refused
from training.dataset.columns import to_arrow
from training.dataset.manifest import Manifest, write_whole
from training.rows import TrainingTable

_KEY = b"tapewire"


class Part(msgspec.Struct, frozen=True):
    """What a file says of itself. counts: rows left out and inputs not used, by reason."""

    run_id: str
    counts: Mapping[str, int]


def write_part(folder: Path, manifest: Manifest, partition: int, rows: TrainingTable) -> None:
    """Write the rows of one partition."""
    told = msgspec.json.encode(Part(manifest.run_id, rows.counts))
    table = to_arrow(rows).replace_schema_metadata({_KEY: told})

    def write(file: object) -> None:
        pq.write_table(table, file, compression="zstd", write_page_checksum=True)

    write_whole(folder / manifest.part(partition), write)


def is_done(folder: Path, manifest: Manifest, partition: int) -> bool:
    """Whether the partition's file is there. Raises Refused where it is of another run."""
    path = folder / manifest.part(partition)
    if not path.exists():
        return False
    try:
        schema = pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from None
    _check_run(path, schema, manifest)
    return True


def read_part(
    folder: Path, manifest: Manifest, partition: int, columns: list[str] | None = None
) -> tuple[Part, pa.Table]:
    """The partition's file, or some columns of it.

    Raises
    ------
    Refused
        It is not there, damaged, or of another run.
    """
    path = folder / manifest.part(partition)
    try:
        table = pq.read_table(path, columns=columns, page_checksum_verification=True)
    except FileNotFoundError:
        raise Refused(
            f"{path}: expected the rows of partition {partition}, found no such file; "
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
