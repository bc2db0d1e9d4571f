"""What one partition has delivered and not yet acknowledged: bounded, in records and bytes."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

MAX_RECORDS = 16_000
MAX_BYTES = 16 << 20  # a stranger's records may be of a megabyte each


class Pending:
    """Chunks in order; true while there are any."""

    def __init__(self) -> None:
        self._n_records = 0
        self._n_bytes = 0
        self._chunks: deque[tuple[int, int]] = deque()  # last offset, bytes

    def add(self, records: Sequence[Any]) -> None:
        """Count a chunk of aiokafka records as delivered."""
        n_bytes = sum(r.serialized_key_size + r.serialized_value_size for r in records)
        self._chunks.append((records[-1].offset, n_bytes))
        self._n_records += len(records)
        self._n_bytes += n_bytes

    def acknowledge(self, last_offset: int, n_records: int) -> None:
        """Take off `n_records`, the last of them at `last_offset`."""
        self._n_records = max(0, self._n_records - n_records)
        while self._chunks and self._chunks[0][0] <= last_offset:
            self._n_bytes -= self._chunks.popleft()[1]

    def __bool__(self) -> bool:
        return self._n_records > 0

    @property
    def full(self) -> bool:
        """Whether to fetch no more until some are acknowledged."""
        return self._n_records >= MAX_RECORDS or self._n_bytes >= MAX_BYTES
