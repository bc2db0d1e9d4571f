"""Days as points in time."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

from stream.events import micros


def midnight(day: date) -> int:
    """The UTC day's begin, in microseconds since 1970."""
    return micros(datetime.combine(day, time(), UTC))
