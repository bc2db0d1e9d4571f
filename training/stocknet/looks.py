"""Every look at the test part, in a file that is only added to: what is looked at often fits."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import msgspec

from stream.errors import Refused

NAME = "looks.jsonl"


class Look(msgspec.Struct, frozen=True):
    """One run that judged the test part. `said` are its ensemble's figures."""

    at: datetime
    folder: str
    seed: int
    said: dict[str, float]


def looks(folder: Path) -> list[Look]:
    """All looks so far, in order. Raises Refused for a line that is none."""
    file = folder / NAME
    if not file.is_file():
        return []
    try:
        return [msgspec.json.decode(line, type=Look) for line in file.read_bytes().splitlines()]
    except msgspec.DecodeError as error:
        raise Refused(f"{file}: expected a look a line: {error}") from None


def note(folder: Path, look: Look) -> int:
    """Add a look; returns how many there are now."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / NAME).open("ab") as file:
        file.write(msgspec.json.encode(look) + b"\n")
    return len(looks(folder))
