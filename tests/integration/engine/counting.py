"""A role that counts records by key, to run inside a test or as a process that a test kills.

Every record gives one output that names it and the key's count so far: a record that is lost,
seen twice or applied to the wrong state shows in the outputs.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from stream.engine.app import run_role
from stream.engine.step import Outbox, Outcome, Record, RoleSpec
from stream.errors import Rejected
from stream.settings import Settings, read_settings

Running = Callable[..., contextlib.AbstractAsyncContextManager["asyncio.Task[None]"]]


class Counted(msgspec.Struct, frozen=True):
    """One output: input `topic` and `offset` was the `n`-th record of its key."""

    topic: str
    offset: int
    n: int
    timestamp: int


class CountingStep:
    """Implements `stream.engine.step.Step`."""

    def __init__(self, partition: int, *, slow_s: float = 0.0) -> None:
        self.counts: dict[bytes, int] = {}
        self.n = 0
        self._partition = partition
        self._slow_s = slow_s
        self._changed: set[bytes] = set()

    def restore(self, slots: Mapping[bytes, bytes], meta: Mapping[str, Any]) -> None:
        self.counts = {key: int(value) for key, value in slots.items()}
        self.n = meta["n"]

    async def prepare(self, topic: str, records: Sequence[Record]) -> None:
        pass

    def apply(self, topic: str, record: Record, out: Outbox) -> Outcome:
        key = record.key
        assert key is not None
        if self._slow_s:
            time.sleep(self._slow_s)
        if record.value == b"bad":
            raise Rejected("value: expected a good one, got a bad one")
        if record.value == b"forget":
            self.counts.pop(key, None)
            self._changed.add(key)
            return Outcome.APPLIED
        if record.value == b"large":
            out.send("signals", key, b"x" * 2_000_000, partition=self._partition)
        n = self.counts[key] = self.counts.get(key, 0) + 1
        self.n += 1
        self._changed.add(key)
        told = Counted(topic, record.offset, n, record.timestamp)
        out.send("signals", key, msgspec.json.encode(told), partition=self._partition)
        if record.value == b"bug":
            raise ZeroDivisionError("a bug in the step")
        return Outcome.APPLIED

    def take_changes(self) -> Iterable[tuple[bytes, bytes | None]]:
        changed, self._changed = self._changed, set()
        for key in changed:
            yield key, str(self.counts[key]).encode() if key in self.counts else None

    def meta(self) -> dict[str, Any]:
        return {"n": self.n}


def counting(
    *inputs: str,
    make_step: Callable[[int], CountingStep] = CountingStep,
    tape: str | None = "ticks",
) -> RoleSpec:
    """The role, over "ticks" unless told otherwise. Its state topic is score's."""
    return RoleSpec("score", inputs or ("ticks",), make_step, tape=tape)


async def main() -> None:
    settings: Settings = read_settings()
    slow_s = float(sys.argv[1])
    await run_role(settings, counting(make_step=lambda p: CountingStep(p, slow_s=slow_s)))


if __name__ == "__main__":
    asyncio.run(main())
