"""The market role's gathering, fed from storage: every stored MarketPane made again and compared.

    pane ends, one log     p0 10:00   p1 10:00   p0 10:05   ...   in the order the role read them
    made again                          10:00'
    stored, partition 0                 10:00                     must be 10:00', field by field
    stored, partition 1                 10:00

What goes out, when, and without whom hangs on the log before it alone, so a role that waited for no
laggard is proven like one that waited.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import cached_property

import msgspec

from stream.errors import Rejected
from stream.events import MARKET_KEY, MarketPane, PaneEnd, micros, moment
from stream.market.gathering import Gathering, deadline_after
from stream.scoring.build import this_build
from stream.scoring.policy import Policy
from training.history import History
from training.proof import OTHER_BUILD, Chosen, Difference, Report
from training.stored import MARKET, PANE_ENDS, Stored
from training.stored_log import Rows
from training.stored_signals import policies

_REFUSED = "SELECT source_offset FROM dead_letters WHERE role = 'market'"
_N_PARTITIONS = """
SELECT greatest((SELECT max("partition") FROM positions), (SELECT max(source_partition)
FROM pane_ends)) + 1
"""
_MADE_ELSEWHERE = "SELECT min(as_of), max(as_of) FROM signals WHERE build <> %s GROUP BY build"


def compare_market(history: History, chosen: Chosen) -> Report:
    """Compare every partition's copy of the MarketPanes whose end is in the chosen span.

    The archive may be further in one topic than in another: copies after the last that the stored
    pane ends give are pending, and so are those after the last that is stored. With a symbol
    chosen, nothing is compared.
    """
    report = Report()
    obeyed = [msgspec.convert(each, Policy) for each in policies(history.connection).values()]
    if not obeyed or chosen.symbol is not None:
        return report
    found = history.connection.execute(_N_PARTITIONS.encode()).fetchone()
    n_partitions = found[0] or 0 if found else 0
    judge = _Judge(history, chosen, report, stamped=obeyed[0].news_waits_for_time)
    stored = [history.read(MARKET, partition) for partition in range(n_partitions)]
    pane_ends = history.read(PANE_ENDS, 0)
    with ExitStack() as ends:
        for rows in (*stored, pane_ends):  # the garbage collector's hands are no place for them
            ends.callback(rows.close)
        copies = [_Copies(partition, rows, judge) for partition, rows in enumerate(stored)]
        refused = {offset for (offset,) in history.connection.execute(_REFUSED.encode())}
        counted = (each for each in pane_ends if each.offset not in refused)
        through_us = 0
        for panes, at_ms in _made_again(counted, obeyed, n_partitions, report):
            through_us = micros(panes[0].end)
            if chosen.until_us is not None and through_us >= chosen.until_us:
                break
            for each in copies:
                each.compare(panes, at_ms)
        for each in copies:
            each.end(through_us)
    return report


def _made_again(
    pane_ends: Iterable[Stored], obeyed: Sequence[Policy], n_partitions: int, report: Report
) -> Iterator[tuple[Sequence[MarketPane], int]]:
    """What the role sent, in order, and its Kafka time in a replay.

    One for each benchmark that the policies had: no table keeps when the role changed it.
    """
    rule, replay = obeyed[0].features.market, obeyed[0].news_waits_for_time
    gatherings = [
        Gathering(n_partitions, deadline_us=deadline_after(rule, replay=replay), benchmark=each)
        for each in sorted({policy.benchmark for policy in obeyed})
    ]
    for part, offset, at_us in pane_ends:
        assert isinstance(part, PaneEnd)
        try:
            sent = [each.apply(part, at_us // 1000)[1] for each in gatherings]
        except Rejected as error:
            name = f"pane-ends 0:{offset}"
            report.note("different", Difference(name, MARKET_KEY, "pane", "applied", str(error)))
            continue
        for same in zip(*sent, strict=True):
            yield [pane for pane, _ in same], same[0][1] + 1


class _Copies:
    """One partition's stored MarketPanes, read as far as those made again have come."""

    def __init__(self, partition: int, rows: Rows[Stored], judge: _Judge) -> None:
        self._partition = partition
        self._rows = rows
        self._judge = judge
        self._head = next(rows, None)

    def compare(self, panes: Sequence[MarketPane], at_ms: int) -> None:
        """The next that should be there: any one of `panes`."""
        end_us = micros(panes[0].end)
        while self._head is not None and _end_us(self._head) < end_us:
            self._judge.missing(self._partition, self._take())
        if self._head is None:
            self._judge.note("pending", end_us)
        elif _end_us(self._head) > end_us:
            self._judge.extra(self._partition, panes[0])
        else:
            self._judge.check(self._partition, self._take(), panes, at_ms)

    def end(self, through_us: int) -> None:
        """What is left: nothing that may still come is stored up to `through_us`."""
        while self._head is not None:
            stored = self._take()
            if _end_us(stored) > through_us:
                self._judge.note("pending", _end_us(stored))
            else:
                self._judge.missing(self._partition, stored)

    def _take(self) -> Stored:
        assert self._head is not None
        stored, self._head = self._head, next(self._rows, None)
        return stored


class _Judge:
    """Notes what became of each copy. `stamped`: in a replay its Kafka time is given, too."""

    def __init__(self, history: History, chosen: Chosen, report: Report, *, stamped: bool) -> None:
        self._history = history
        self._chosen = chosen
        self._report = report
        self._stamped = stamped

    def check(
        self, partition: int, stored: Stored, panes: Sequence[MarketPane], at_ms: int
    ) -> None:
        """Compare a stored copy with whichever of `panes` it is, else the first."""
        pane = next((each for each in panes if each == stored.event), panes[0])
        name = f"market {partition}:{stored.offset}"
        differences = [
            Difference(name, MARKET_KEY, field, repr(one), repr(other))
            for field in MarketPane.__struct_fields__
            if (one := getattr(stored.event, field)) != (other := getattr(pane, field))
        ]
        if self._stamped and stored.at_us != at_ms * 1000:
            times = f"{stored.at_us / 1000:g} ms", f"{at_ms} ms"
            differences.append(Difference(name, MARKET_KEY, "kafka_ts", *times))
        self.note("different" if differences else "equal", _end_us(stored), *differences)

    def missing(self, partition: int, stored: Stored) -> None:
        """Note a stored copy that nothing gives."""
        name, end_us = f"market {partition}:{stored.offset}", _end_us(stored)
        nothing = Difference(name, MARKET_KEY, "pane", f"{moment(end_us)}", "none")
        self.note("missing", end_us, nothing)

    def extra(self, partition: int, pane: MarketPane) -> None:
        """Note one that is not stored, where later ones are."""
        nothing = Difference(f"market {partition}", MARKET_KEY, "pane", "none", f"{pane.end}")
        self.note("extra", micros(pane.end), nothing)

    def note(self, kind: str, end_us: int, *differences: Difference) -> None:
        """Count one copy, if it is chosen."""
        if self._chosen.holds(MARKET_KEY, end_us):
            elsewhere = bool(differences) and self._made_elsewhere(end_us)
            self._report.note(OTHER_BUILD if elsewhere else kind, *differences)

    def _made_elsewhere(self, end_us: int) -> bool:
        """Whether the signals of that time are another build's: a MarketPane names none."""
        return any(first <= end_us <= last for first, last in self._spans)

    @cached_property
    def _spans(self) -> list[tuple[int, int]]:
        rows = self._history.connection.execute(_MADE_ELSEWHERE, [this_build().build_id])
        return [(micros(first), micros(last)) for first, last in rows]


def _end_us(stored: Stored) -> int:
    assert isinstance(stored.event, MarketPane)
    return micros(stored.event.end)
