"""A score worker that is broken on purpose: what finds faults must find these."""

from __future__ import annotations

import asyncio
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from stream.engine.checkpoint import Meta, PartitionProducer
from stream.scoring.agent import run_score
from stream.scoring.step import ScoreStep
from stream.settings import read_settings


def acknowledge_before_send() -> None:
    """State and positions are committed a checkpoint before the outputs that belong to them."""
    send, commit = PartitionProducer.send, PartitionProducer.commit
    kept: defaultdict[int, list[tuple[Any, Any]]] = defaultdict(list)

    def hold(self: PartitionProducer, *args: Any, **options: Any) -> None:
        if args[0].endswith("-state"):
            send(self, *args, **options)
        else:
            kept[id(self)].append((args, options))
            self.n_pending += 1

    async def commit_first(
        self: PartitionProducer, slots: Mapping[bytes, bytes | None], meta: Meta
    ) -> None:
        await commit(self, slots, meta)
        for args, options in kept.pop(id(self), []):
            send(self, *args, **options)

    PartitionProducer.send = hold  # type: ignore[method-assign]
    PartitionProducer.commit = commit_first  # type: ignore[method-assign]


def skip_a_slot() -> None:
    """Open panes are left out of every checkpoint."""
    take_changes = ScoreStep.take_changes

    def take_some(self: ScoreStep) -> Iterable[tuple[bytes, bytes | None]]:
        return [(key, value) for key, value in take_changes(self) if b"|open|" not in key]

    ScoreStep.take_changes = take_some  # type: ignore[method-assign]


SABOTAGE = {each.__name__: each for each in (acknowledge_before_send, skip_a_slot)}

if __name__ == "__main__":
    SABOTAGE[sys.argv[1]]()
    asyncio.run(run_score(read_settings()))
