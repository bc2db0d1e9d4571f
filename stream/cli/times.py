"""Times as people type them."""

from __future__ import annotations

from datetime import UTC, datetime

from stream.errors import Refused
from stream.events import micros


def utc_micros(typed: datetime | None) -> int | None:
    """Microseconds of a typed time; without a zone it is UTC."""
    if typed is None:
        return None
    return micros(typed if typed.tzinfo else typed.replace(tzinfo=UTC))


def utc_span(since: datetime | None, until: datetime | None) -> tuple[int | None, int | None]:
    """Microseconds of both ends of [since, until). Raises Refused where nothing lies between."""
    since_us, until_us = utc_micros(since), utc_micros(until)
    if since_us is not None and until_us is not None and since_us >= until_us:
        raise Refused(f"--until: expected a time after --since {since}, got {until}")
    return since_us, until_us
