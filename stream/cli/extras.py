"""Parts of the installation that only some verbs need."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from stream.errors import Refused


@contextmanager
def needs(verb: str, extra: str) -> Iterator[None]:
    """A library that is not installed, said in one line."""
    try:
        yield
    except ImportError as error:
        raise Refused(
            f"{verb}: expected the extra {extra}, {error.name or error} is missing; "
            f"run pip install 'tapewire[{extra}]'"
        ) from error
