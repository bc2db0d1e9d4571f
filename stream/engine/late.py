"""What came too late to count, kept: its place, how late it was, and its payload as text."""

from __future__ import annotations

from datetime import datetime

from stream.engine.step import Record
from stream.events import LateEvent

_MAX_KEPT_BYTES = 128 * 1024  # of a larger payload: escaped it stays under 1 MiB


def late_event(
    topic: str, record: Record, *, symbol: str, ts: datetime, late_by_us: int, reason: str
) -> LateEvent:
    """The event that tells of `record`; what is not UTF-8 in its payload is escaped.

    Parameters
    ----------
    ts : the record's own time, which was over.
    """
    return LateEvent(
        topic=topic,
        partition=record.partition,
        offset=record.offset,
        symbol=symbol,
        ts=ts,
        late_by_s=late_by_us / 1e6,
        reason=reason,
        payload=(record.value or b"")[:_MAX_KEPT_BYTES].decode(errors="backslashreplace"),
    )
