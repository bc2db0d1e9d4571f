"""Values as binary COPY carries them, so that no row needs a Python-level dumper.

A timestamptz is an int8 of microseconds since 2000, a date an int4 of days since 2000; arrays and
jsonb are byte strings. The server reads the bytes, so their COPY type may be int8, int4 or bytea.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import msgspec

from stream.errors import Rejected

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(2000, 1, 1).toordinal()
_EPOCH_MS = 946_684_800_000
_MICROSECOND = timedelta(microseconds=1)
_TEXT_OID, _FLOAT8_OID = 25, 701
_HEADER = struct.Struct(">iiiii")  # dimensions, has nulls, element type, length, lower bound
_EMPTY = struct.Struct(">iii")
_LENGTH = struct.Struct(">i")
_FLOAT8 = struct.Struct(">id")
_NULL = _LENGTH.pack(-1)
_JSONB_VERSION = b"\x01"

# What COPY is told of each kind of column.
COPY_TYPES = {
    "text": "text",
    "float": "float8",
    "bool": "bool",
    "int4": "int4",
    "int8": "int8",
    "time": "int8",
    "date": "int4",
    "bytes": "bytea",
    "texts": "bytea",
    "floats": "bytea",
    "json": "bytea",
}


def time_us(moment: datetime) -> int:
    """Microseconds since 2000."""
    return (moment - _EPOCH) // _MICROSECOND


def optional_time_us(moment: datetime | None) -> int | None:
    """Microseconds since 2000, None kept."""
    return None if moment is None else (moment - _EPOCH) // _MICROSECOND


def kafka_time_us(timestamp_ms: int) -> int:
    """Microseconds since 2000 of a record's timestamp."""
    return (timestamp_ms - _EPOCH_MS) * 1000


def day(when: date | None) -> int | None:
    """Days since 2000, None kept."""
    return None if when is None else when.toordinal() - _EPOCH_DAY


def texts(values: Sequence[str]) -> bytes:
    """A text[]."""
    if not values:
        return _EMPTY.pack(0, 0, _TEXT_OID)
    parts = [_HEADER.pack(1, 0, _TEXT_OID, len(values), 1)]
    for value in values:
        raw = value.encode()
        parts += (_LENGTH.pack(len(raw)), raw)
    return b"".join(parts)


def floats(values: Sequence[float | None]) -> bytes:
    """A float8[], None as NULL."""
    if not values:
        return _EMPTY.pack(0, 0, _FLOAT8_OID)
    has_nulls = None in values
    header = _HEADER.pack(1, has_nulls, _FLOAT8_OID, len(values), 1)
    return header + b"".join([_NULL if v is None else _FLOAT8.pack(8, v) for v in values])


def jsonb(value: object) -> bytes:
    """A jsonb."""
    return _JSONB_VERSION + msgspec.json.encode(value)


def int4(value: int, name: str) -> int:
    """`value`, or Rejected where an integer column cannot hold it."""
    if not -(1 << 31) <= value < 1 << 31:
        raise Rejected(f"`{name}`: expected an integer of 32 bits, got {value}")
    return value


def int8(value: int | None, name: str) -> int | None:
    """`value`, or Rejected where a bigint column cannot hold it; None kept."""
    if value is not None and not -(1 << 63) <= value < 1 << 63:
        raise Rejected(f"`{name}`: expected an integer of 64 bits, got {value}")
    return value
