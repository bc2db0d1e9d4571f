"""Files and folders that are complete or not there, and what they hold, by sha256."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def sha256(path: Path) -> str:
    """In hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def complete_folder(folder: Path) -> Iterator[Path]:
    """A sibling to fill, which becomes `folder` when all went well and is gone when not."""
    part = _part(folder)
    shutil.rmtree(part, ignore_errors=True)  # a killed run's
    part.mkdir(parents=True)
    try:
        yield part
        os.replace(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def complete_file(path: Path) -> Iterator[Path]:
    """A sibling to write, which takes `path`'s place when all went well and is gone when not."""
    part = _part(path)
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _part(path: Path) -> Path:
    return path.with_name(f".{path.name}.part")
