"""Scores read ahead of the tape, held until its time reaches theirs. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Any

import msgspec

from stream.events import SentimentScored, micros
from stream.scoring.open_panes import NEVER


class HeldNews:
    """By time, then by offset; `next_at` is the first one's time in microseconds."""

    def __init__(self) -> None:
        self.next_at = NEVER
        self._held: list[tuple[int, int, SentimentScored]] = []  # heap

    def hold(self, available: int, offset: int, scored: SentimentScored) -> None:
        """Keep a score until `available`."""
        heapq.heappush(self._held, (available, offset, scored))
        self.next_at = self._held[0][0]

    def take_first(self) -> tuple[int, SentimentScored]:
        """The first one, with its time."""
        available, _, scored = heapq.heappop(self._held)
        self.next_at = self._held[0][0] if self._held else NEVER
        return available, scored

    def copy_of(self, symbol: str) -> HeldNews:
        """What is held of this one symbol."""
        copy = HeldNews()
        for available, offset, scored in self._held:
            if scored.symbol == symbol:
                copy.hold(available, offset, scored)
        return copy

    def meta(self) -> list[list[Any]]:
        """What a checkpoint keeps (JSON types)."""
        return [[offset, msgspec.to_builtins(scored)] for _, offset, scored in self._held]

    def restore(self, meta: Sequence[Any]) -> None:
        """Take what `meta` gave."""
        for offset, scored in msgspec.convert(meta, list[tuple[int, SentimentScored]]):
            self.hold(micros(scored.available_at), offset, scored)
