"""A recorded or synthetic market: its events in the order in which they were available."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from stream.events import Instrument


class Timed(NamedTuple):
    """One record to publish; `at` is when it was available, in microseconds."""

    topic: str
    at: int
    key: bytes
    value: bytes


@dataclass(frozen=True)
class Dataset:
    """What `tapewire load` publishes.

    span : first and last availability, in microseconds.
    events : a fresh iterator each call, in order of availability; news before the tape on a tie.
    """

    name: str
    feature_set: Literal["intraday", "daily"]
    tape: Literal["ticks", "bars"]
    span: tuple[int, int]
    instruments: tuple[Instrument, ...]
    events: Callable[[], Iterator[Timed]]

    @property
    def calendars(self) -> tuple[str, ...]:
        """Calendars of its instruments; XNYS where there are none."""
        return tuple(sorted({i.calendar for i in self.instruments} or {"XNYS"}))
