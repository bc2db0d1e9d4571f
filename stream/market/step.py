"""The market role: PaneEnds in, a MarketPane to every partition out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from stream.engine.late import late_event
from stream.engine.step import Outbox, Outcome, Record
from stream.errors import Rejected
from stream.events import MARKET_KEY, PaneEnd, decode, encode, micros, moment
from stream.market.gathering import Gathering

_KEY = MARKET_KEY.encode()


class MarketStep:
    """Implements `stream.engine.step.Step` for the one partition of `pane-ends`.

    Parameters
    ----------
    stamp_outputs : in a replay outputs carry the time of the last answer, and a millisecond.
    """

    def __init__(self, gathering: Gathering, n_partitions: int, *, stamp_outputs: bool) -> None:
        self._gathering = gathering
        self._n_partitions = n_partitions
        self._stamp_outputs = stamp_outputs

    async def prepare(self, topic: str, records: Sequence[Record]) -> None:
        """Nothing to prepare."""

    def apply(self, topic: str, record: Record, out: Outbox) -> Outcome:
        """Count one PaneEnd and send what became complete."""
        try:
            part = decode(PaneEnd, record.value or b"")
        except msgspec.DecodeError as error:
            raise Rejected(str(error)) from error
        if record.key != str(part.partition).encode():
            raise Rejected(f"key: expected the partition {part.partition}, got {record.key!r}")
        outcome, panes = self._gathering.apply(part, record.timestamp)
        if outcome is Outcome.LATE:
            self._send_late(part, record, out)
        for pane, answered_ms in panes:
            raw, at_ms = encode(pane), self._stamp(answered_ms + 1)
            for partition in range(self._n_partitions):
                out.send("market", _KEY, raw, partition=partition, timestamp_ms=at_ms)
        return outcome

    def _send_late(self, part: PaneEnd, record: Record, out: Outbox) -> None:
        sent = self._gathering.sent
        late = late_event(
            "pane-ends",
            record,
            symbol=MARKET_KEY,
            ts=part.end,
            late_by_us=sent - micros(part.end),
            reason=f"the market has gone out through {moment(sent).isoformat()} without it",
        )
        at_ms = self._stamp(record.timestamp)
        out.send("late-events", _KEY, encode(late), partition=0, timestamp_ms=at_ms)

    def _stamp(self, at_ms: int) -> int | None:
        return at_ms if self._stamp_outputs else None

    def take_changes(self) -> Iterable[tuple[bytes, bytes | None]]:
        """Slots changed since the last checkpoint."""
        return self._gathering.take_changes()

    def meta(self) -> dict[str, Any]:
        """How far each partition and the market are."""
        return self._gathering.meta()

    def restore(self, slots: Mapping[bytes, bytes], meta: Mapping[str, Any]) -> None:
        """Take a checkpoint's state."""
        parts = {slot.decode(): decode(PaneEnd, raw) for slot, raw in slots.items()}
        self._gathering.restore(parts, meta)
