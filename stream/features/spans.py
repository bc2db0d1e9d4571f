"""What spans of a list give, kept while the list stays the same.

Windows move with every pane and news comes now and then, so most spans are asked for again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self, TypeVar

T = TypeVar("T")


class Spans:
    """Base of a list of items; whoever changes it calls `changed`."""

    def __init__(self) -> None:
        self._known: dict[tuple[object, int, int], Any] = {}

    def once(self, compute: Callable[[Self, int, int], T], low: int, high: int) -> T:
        """What `compute` gives of the items [low:high]; it may look at nothing else."""
        key = compute, low, high
        known: T
        try:
            known = self._known[key]
        except KeyError:
            known = self._known[key] = compute(self, low, high)
        return known

    def changed(self) -> None:
        """Forget what the items gave."""
        if self._known:
            self._known = {}
