"""What could not be read, kept: its bytes, its place and the reason."""

from __future__ import annotations

from stream.engine.step import Record
from stream.events import DeadLetter, encode, moment

MAX_KEPT_BYTES = 512 * 1024  # of a larger payload: with base64 a letter stays under 1 MiB
MAX_KEPT_KEY_BYTES = 1_000


def dead_letter(role: str, topic: str, record: Record, reason: str) -> tuple[bytes, bytes]:
    """Key and value for `dead-letters`; the key is the record's position."""
    raw = record.value or b""
    letter = DeadLetter(
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
    return f"{topic}:{record.partition}:{record.offset}".encode(), encode(letter)
