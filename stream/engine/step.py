"""What a role gives the engine: pure steps over the records of one partition."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol


class Record(Protocol):
    """One Kafka record, as aiokafka gives it; `timestamp` is milliseconds since 1970."""

    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...


class Outcome(Enum):
    """What became of a record; a rejected one raises `errors.Rejected` instead."""

    APPLIED = "applied"
    LATE = "late"
    DUPLICATE = "duplicate"


class NotYet(Exception):
    """A record, and those of its topic after it, wait for what another input will bring.

    A step may raise it in a replay, and has changed nothing then that a later try would not.
    """


class Outbox(Protocol):
    """Collects what a step sends; all of it goes into the open transaction, in order."""

    def send(
        self,
        topic: str,
        key: bytes,
        value: bytes,
        *,
        partition: int | None = None,
        timestamp_ms: int | None = None,
    ) -> None:
        """Send to the logical topic `topic` ("signals"); without a partition, by key (murmur2)."""


class Step(Protocol):
    """All of one role's state for one partition, and how a record changes it. No I/O inside."""

    def restore(self, slots: Mapping[bytes, bytes], meta: Mapping[str, Any]) -> None:
        """Take the state of the last checkpoint; `meta` is what `meta()` returned then ({} new)."""

    async def prepare(self, topic: str, records: Sequence[Record]) -> None:
        """See records before they are applied: the place for batched inference.

        A checkpoint may be made while it waits, and a stop cancels it: it leaves alone what
        `take_changes` and `meta` give.
        """

    def apply(self, topic: str, record: Record, out: Outbox) -> Outcome:
        """Apply one record of the logical topic `topic`. Raises Rejected for a bad one, NotYet."""

    def take_changes(self) -> Iterable[tuple[bytes, bytes | None]]:
        """Slots changed since the last call; None deletes one."""

    def meta(self) -> dict[str, Any]:
        """What a checkpoint records beside slots, positions and counts (JSON types)."""


@dataclass(frozen=True)
class RoleSpec:
    """One role for the engine to run."""

    name: str
    inputs: tuple[str, ...]  # logical topics with one partition count, read together
    make_step: Callable[[int], Step]  # from the partition number
    tape: str | None = None  # moves event time; in a replay the other inputs run ahead of it
