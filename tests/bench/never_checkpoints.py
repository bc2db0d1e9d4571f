"""`tapewire` whose workers make no checkpoints: they acknowledge what they applied, and go on.

Outputs go to the broker as ever, inside one transaction that is never closed. For the benchmark
alone: a restart would begin at offset 0.
"""

from __future__ import annotations

from stream import cli
from stream.engine import app, checkpoint
from stream.engine.worker import PartitionWorker

_LONGER_THAN_A_RUN_MS = 600_000


class NeverCheckpoints(PartitionWorker):
    """Lets the transport go on where a checkpoint would be due."""

    async def _checkpoint(self) -> None:
        done, self._unacknowledged = self._unacknowledged, {}
        for topic, (offset, n) in done.items():
            self._acknowledge(topic, offset, n)
        self._last_checkpoint = self._now()


if __name__ == "__main__":
    app.PartitionWorker = NeverCheckpoints  # type: ignore[misc]
    checkpoint.TRANSACTION_TIMEOUT_MS = _LONGER_THAN_A_RUN_MS
    cli.main()
