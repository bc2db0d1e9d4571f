"""Whether a consumer reads what it should. Pure.

It is told once a second: seconds are counted, not timed, so that a process that was stopped gets
its time again.
"""

from __future__ import annotations

from collections.abc import Mapping

from faust.types.tuples import TP

from stream.errors import Unavailable

REBALANCE_S = 45  # from the start or a revocation on, until records flow
LOOK_S = 15  # between two looks at the ends of the log


class Lookout:
    """Sees a group that never settles and a partition whose records nobody fetches."""

    def __init__(self) -> None:
        self._unsettled: int | None = 0  # seconds since the start or a revocation, until settled
        self._sought = False  # since then every partition was told where to start
        self._seconds = 0
        self._seen: Mapping[TP, tuple[int, int]] = {}  # position and end at the last look

    def rebalancing(self) -> None:
        """Partitions are taken and given."""
        self._unsettled, self._sought = 0, False

    def assigned_nothing(self) -> None:
        """There are more workers than partitions."""
        self._unsettled = None

    def sought(self) -> None:
        """Every partition was told where to start; its records flow a little later."""
        self._sought = True

    def second(self, *, flows: bool) -> bool:
        """Another second, in which records could be fetched or not; whether to look at the ends.

        Raises Unavailable where a start or a rebalance lasts too long.
        """
        if self._sought and flows:
            self._unsettled = None
        if self._unsettled is not None:
            self._unsettled += 1
            if self._unsettled > REBALANCE_S:
                raise Unavailable(f"the group has not settled within {REBALANCE_S} s")
        self._seconds += 1
        return self._seconds % LOOK_S == 0

    def look(self, positions: Mapping[TP, int], ends: Mapping[TP, int]) -> None:
        """Compare where partitions stand that wait for records with where their logs end.

        Raises Unavailable for one that stood there before, short of the end it had even then.
        """
        for tp, position in positions.items():
            before, end = self._seen.get(tp, (position, position))
            if before == position < end:
                raise Unavailable(
                    f"{tp.topic} partition {tp.partition}: {end - position} records wait on the "
                    f"broker from offset {position} on, and none came within {LOOK_S} s"
                )
        self._seen = {tp: (at, ends[tp]) for tp, at in positions.items() if tp in ends}
