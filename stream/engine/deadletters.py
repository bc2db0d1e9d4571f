"""What could not be read, kept: its bytes, its place and the reason."""

from __future__ import annotations

from stream.engine.step import Record
from stream.events import DeadLetter, encode, moment

MAX_KEPT_BYTES = 512 * 1024  # of a larger payload: with base64 a letter stays under 1 MiB
MAX_KEPT_KEY_BYTES = 1_000


def dead_letter(role: str, topic: str, record: Record, reason: str) -> tuple[bytes, bytes]:
    """Key and value for `dead-letters`; the key is the record's position."""
    key = f"{topic}:{record.partition}:{record.offset}".encode()
    return key, encode(letter_of(role, topic, record, reason))


def letter_of(role: str, topic: str, record: Record, reason: str) -> DeadLetter:
    """The letter of `record`, cut to what one record can hold."""
    raw = record.value or b""
    return DeadLetter(
        role=role,
        topic=topic,
        partition=record.partition,
        offset=record.offset,
        kafka_ts=moment(record.timestamp * 1000),
        reason=reason[:2_000],
        key=record.key if record.key is None else record.key[:MAX_KEPT_KEY_BYTES],
        payload=raw[:MAX_KEPT_BYTES],
        n_bytes=len(raw),
    )
