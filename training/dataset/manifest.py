"""What a dataset's rows hang on, written before the first of them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from stream.errors import Refused
from stream.scoring.policy import Policy
from training.label_rules import LabelRule
from training.stored_log import Extent

FORMAT = 1
FILE = "manifest.json"


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """One run's inputs: the same manifest gives the same rows.

    extents : the stored events it reads; what was archived later is not in it.
    since_us, until_us : bounds of as_of; None: all.
    channels : of each row's sequence of panes; empty: rows have none.
    """

    namespace: str
    policy_id: str
    policy: Policy
    feature_names: tuple[str, ...]
    rule: LabelRule
    sentiment_model: str | None
    since_us: int | None
    until_us: int | None
    code_revision: str
    extents: tuple[Extent, ...]
    channels: tuple[str, ...] = ()
    format: int = FORMAT

    @property
    def run_id(self) -> str:
        """Sixteen hex digits that change with any field."""
        raw = msgspec.json.encode(self, order="deterministic")
        return hashlib.blake2b(raw, digest_size=8).hexdigest()

    @property
    def sizes(self) -> dict[int, int]:
        """Events to replay, by partition of the tape."""
        tape = {each.partition for each in self.extents if each.table == self.policy.tape}
        found = dict.fromkeys(sorted(tape), 0)
        for each in self.extents:
            if each.partition in found:
                found[each.partition] += each.n
        return found

    def part(self, partition: int) -> str:
        """The name of the file that holds the partition's rows."""
        return f"part-{partition:05d}.parquet"

    def apart(self, partition: int) -> str:
        """The name of the same before it knows of the other partitions."""
        return f"apart-{partition:05d}.parquet"

    def prices(self, partition: int) -> str:
        """The name of the file that holds the prices of the partition's symbols until then."""
        return f"prices-{partition:05d}.parquet"


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a dataset, finished or not; None where there is none.

    Raises Refused where it cannot be read.
    """
    path = folder / FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise Refused(
            f"{path}: expected a manifest of format {FORMAT}, got {error}; build it anew elsewhere"
        ) from None


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Begin a dataset in `folder`."""
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
    write_whole(folder / FILE, lambda file: file.write(text))


def differences(begun: Any, here: Any, name: str = "") -> list[str]:
    """Each fact that differs, as `name: begun with that, now this`."""
    before, now = (_flat(name, msgspec.to_builtins(each)) for each in (begun, here))
    return [
        f"{fact}: begun with {before.get(fact, 'none')}, now {now.get(fact, 'none')}"
        for fact in {**before, **now}
        if before.get(fact) != now.get(fact)
    ]


def write_whole(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file that is there whole or not at all, also after a crash."""
    made = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with made.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        made.replace(path)
    finally:
        made.unlink(missing_ok=True)


def _flat(name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, dict) and {"table", "topic_id", "partition"} <= value.keys():
        place = "{table} of partition {partition}, topic {topic_id}".format_map(value)
        return {place: f"{value['n']:,} rows up to offset {value['last']:,}"}
    if isinstance(value, dict):
        inner = [_flat(f"{name}.{key}".lstrip("."), each) for key, each in value.items()]
    elif isinstance(value, list | tuple):
        inner = [_flat(f"{name} {i}", each) for i, each in enumerate(value)]
    else:
        return {name: value}
    return {fact: each for one in inner for fact, each in one.items()}
