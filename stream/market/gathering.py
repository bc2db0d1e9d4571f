"""PaneEnds of all partitions into MarketPanes, one an interval. Pure: their ends alone move time.

    partition 0   ──10:00────10:05────10:10──►
    partition 1   ──10:00─────────────10:10──►   10:05 goes out when partition 1 has passed it:
                                                 nothing traded there

An end goes out when every partition has passed it, or when one has passed it by the deadline.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from stream.engine.step import Outcome
from stream.errors import Rejected
from stream.events import MarketPane, PaneEnd, encode, micros
from stream.features.crosssection import market_pane
from stream.features.marketbook import MarketRule

_INTERVALS = 3  # past an end, and it goes out without the partitions that are missing


def deadline_after(rule: MarketRule, *, replay: bool) -> int | None:
    """A Gathering's `deadline_us` under the rule of a feature set."""
    return None if replay else _INTERVALS * (rule.interval_us or rule.gather_us)


class Gathering:
    """Times in microseconds.

    Parameters
    ----------
    deadline_us : how far past an end one partition must be for it to go out without the others;
        None: never, as in a replay, where partitions race.
    benchmark : the symbol whose return is the market's; empty for the mean.
    """

    def __init__(self, n_partitions: int, *, deadline_us: int | None, benchmark: str) -> None:
        self.sent = 0
        self._n_partitions = n_partitions
        self._deadline_us = deadline_us
        self._benchmark = benchmark
        self._through: dict[int, int] = {}  # partition -> the newest end that it has passed
        self._passed: dict[int, list[tuple[int, int]]] = {}  # (end, when it said so), not sent yet
        self._parts: defaultdict[int, dict[str, PaneEnd]] = defaultdict(dict)  # end -> slot -> part
        self._changed: dict[str, None] = {}

    def apply(self, part: PaneEnd, at_ms: int) -> tuple[Outcome, list[tuple[MarketPane, int]]]:
        """Count one PaneEnd with Kafka time `at_ms`. Raises Rejected.

        Returns what goes out because of it, in order of its ends, each with the Kafka time of the
        last answer that it waited for.
        """
        partition, end = part.partition, micros(part.end)
        if partition >= self._n_partitions:
            raise Rejected(f"`partition`: expected under {self._n_partitions}, got {partition}")
        if end <= self._through.get(partition, 0):
            return Outcome.DUPLICATE, []
        if not part.more:
            self._through[partition] = end
            self._passed.setdefault(partition, []).append((end, at_ms))
        late = bool(part.symbols) and end <= self.sent
        if part.symbols and not late:
            slot = f"{end}|{partition}|{part.symbols[0].symbol}"
            self._parts[end][slot] = part
            self._changed[slot] = None
        return (Outcome.LATE if late else Outcome.APPLIED), list(self._complete())

    def _complete(self) -> Iterator[tuple[MarketPane, int]]:
        through = self._through.values()
        known = min(through) if len(through) == self._n_partitions else 0
        if self._deadline_us is not None and through:
            known = max(known, max(through) - self._deadline_us)
        ends = {end for end in self._parts if end <= known}
        if not ends and known <= self.sent:
            return
        everywhere = max((end for end in through if end <= known), default=0)
        for end in sorted(ends | ({everywhere} if everywhere > self.sent else set())):
            answers = [self._answered(p, end) for p, own in self._through.items() if own >= end]
            yield self._pane(end, len(answers)), max(answers)
            self.sent = end
        for partition, passed in self._passed.items():
            self._passed[partition] = [each for each in passed if each[0] > self.sent]

    def _answered(self, partition: int, end: int) -> int:
        """When the partition said that it had passed `end`."""
        return next(at_ms for own, at_ms in self._passed[partition] if own >= end)

    def _pane(self, end: int, answered: int) -> MarketPane:
        parts = self._parts.pop(end, {})
        self._changed.update(dict.fromkeys(parts))
        return market_pane(end, parts.values(), answered, self._benchmark)

    def take_changes(self) -> Iterator[tuple[bytes, bytes | None]]:
        """Slots changed since the last call; None deletes one."""
        for slot in self._changed:
            part = self._parts.get(int(slot.partition("|")[0]), {}).get(slot)
            yield slot.encode(), None if part is None else encode(part)
        self._changed.clear()

    def meta(self) -> dict[str, Any]:
        """What no slot holds (JSON types)."""
        return {
            "sent": self.sent,
            "through": {str(p): end for p, end in self._through.items()},
            "passed": {str(p): passed for p, passed in self._passed.items()},
        }

    def restore(self, parts: Mapping[str, PaneEnd], meta: Mapping[str, Any]) -> None:
        """Take a checkpoint; what comes then gives what it would have given."""
        self.sent = int(meta.get("sent", 0))
        self._through = {int(p): end for p, end in meta.get("through", {}).items()}
        self._passed = {
            int(p): [(end, at_ms) for end, at_ms in passed]
            for p, passed in meta.get("passed", {}).items()
        }
        for slot, part in parts.items():
            self._parts[int(slot.partition("|")[0])][slot] = part
