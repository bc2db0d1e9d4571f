"""A stored dead letter, its name, and what may become of it. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Literal, NamedTuple

import msgspec

from stream.engine.deadletters import MAX_KEPT_KEY_BYTES
from stream.engine.topics import INPUTS, partition_of
from stream.errors import Refused
from stream.events import MARKET_KEY

SOURCES = (*INPUTS, "sentiment")  # the topics that roles read
Step = Literal["replaying", "replayed", "failed", "dropped"]
_NAME = re.compile(r"([0-9]{1,9}):([0-9]{1,18})(?:@([\w.\-]{1,100}))?")


class Place(NamedTuple):
    """Where a letter lies in topic dead-letters; without an id, in the topic of that name now."""

    partition: int
    offset: int
    topic_id: str | None


class Letter(msgspec.Struct, frozen=True):
    """All of a letter but its payload, of which `n_kept` bytes of `n_bytes` were kept."""

    name: str
    fate: Literal["open", "replaying", "replayed", "dropped"]
    kafka_ts: datetime
    role: str
    source_topic: str
    source_partition: int
    source_offset: int
    source_kafka_ts: datetime
    reason: str
    key: bytes | None
    n_kept: int
    n_bytes: int
    topic_id: str
    partition: int
    offset: int

    @property
    def source(self) -> str:
        """The record that it tells of: topic, partition and offset."""
        return f"{self.source_topic}:{self.source_partition}:{self.source_offset}"

    @property
    def is_whole(self) -> bool:
        """Whether the letter has all bytes of its record; an empty value may have been none."""
        key_is_whole = self.key is None or len(self.key) < MAX_KEPT_KEY_BYTES
        return key_is_whole and 0 < self.n_bytes == self.n_kept


class Fate(msgspec.Struct, frozen=True):
    """One step in a letter's history: when it began, when it ended, where the record went."""

    fate: Step
    at: datetime
    actor: str
    reason: str
    settled_at: datetime | None = None
    to_partition: int | None = None
    to_offset: int | None = None
    error: str | None = None


def read_name(name: str) -> Place:
    """The place that `name` says. Raises Refused.

    Examples
    --------
    >>> read_name("2:17")
    Place(partition=2, offset=17, topic_id=None)
    """
    found = _NAME.fullmatch(name)
    if found is None:
        raise Refused(
            f"letter: expected PARTITION:OFFSET as `tapewire dlq list` shows it, got {name!r}"
        )
    return Place(int(found[1]), int(found[2]), found[3])


def why_settled(history: Sequence[Fate]) -> str | None:
    """Why a letter with that history is not to be touched unasked; None where it is open."""
    last = next((step for step in reversed(history) if step.fate != "failed"), None)
    if last is None:
        return None
    by = f"by {last.actor} at {last.at:%Y-%m-%d %H:%M:%S %Z}"
    if last.fate == "replaying":
        return f"a replay began {by} and did not tell its end: its bytes may be on the topic"
    return f"it was {last.fate} {by}"


def destination(letter: Letter, key: bytes | None, n_partitions: int) -> int:
    """The partition a replay goes to: the key's, or the source's where the key names none.

    A record that is wrong only in its partition comes right by this.
    """
    if key is not None and key != MARKET_KEY.encode():
        return partition_of(key, n_partitions)
    if not 0 <= letter.source_partition < n_partitions:
        raise Refused(
            f"letter {letter.name}: expected a partition below {n_partitions}, "
            f"got {letter.source}, and its key names none"
        )
    return letter.source_partition
