"""Times as people type them."""

from __future__ import annotations

from datetime import UTC, datetime

from stream.events import micros


def utc_micros(typed: datetime | None) -> int | None:
    """Microseconds of a typed time; without a zone it is UTC."""
    if typed is None:
        return None
    return micros(typed if typed.tzinfo else typed.replace(tzinfo=UTC))
