"""Files that verbs write at their end: what cannot be written is said at their start."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def in_a_folder(given: Path | None) -> Path | None:
    """A place for a file. Raises BadParameter, exit code 2."""
    if given is not None and not given.absolute().parent.is_dir():
        raise typer.BadParameter(f"expected an existing folder {given.parent}, found none")
    return given


ReportOption = Annotated[
    Path | None,
    typer.Option(help="HTML page to write.", dir_okay=False, writable=True, callback=in_a_folder),
]
