"""When a MarketPane goes out, with whom, and what comes too late for it."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from stream.engine.step import Outcome
from stream.errors import Rejected
from stream.events import LateEvent, MarketPane, PaneEnd, SymbolEnd, decode, encode, micros, moment
from stream.market.gathering import Gathering
from stream.market.step import MarketStep
from tests.history import Outputs, Record

MINUTE = 60_000_000
NAMES = ("return_log_5m",)


def pane_end(partition: int, minute: int, *symbols: str, more: bool = False) -> PaneEnd:
    told = tuple(SymbolEnd(s, "", minute / 100 + partition, (1.0,)) for s in symbols)
    return PaneEnd(
        partition=partition, end=moment(minute * MINUTE), names=NAMES, symbols=told, more=more
    )


def gathering(n_partitions: int = 2, deadline_min: int | None = 15) -> Gathering:
    deadline_us = None if deadline_min is None else deadline_min * MINUTE
    return Gathering(n_partitions, deadline_us=deadline_us, benchmark="")


def sent(one: Gathering, *parts: PaneEnd) -> list[tuple[int, int, int]]:
    """(minute, symbols, partitions) of what goes out."""
    panes = itertools.chain.from_iterable(one.apply(part, 0)[1] for part in parts)
    return [(micros(p.end) // MINUTE, p.n_symbols, p.n_partitions) for p, _ in panes]


def test_an_end_goes_out_when_the_last_partition_has_passed_it() -> None:
    one = gathering()
    assert sent(one, pane_end(0, 5, "A"), pane_end(0, 10, "A")) == []
    assert sent(one, pane_end(1, 10, "B")) == [(5, 1, 2), (10, 2, 2)]


def test_where_nothing_trades_the_newest_end_goes_out_empty() -> None:
    one = gathering()
    assert sent(one, pane_end(0, 5), pane_end(0, 10), pane_end(1, 10)) == [(10, 0, 2)]


def test_a_missing_partition_is_left_out_at_the_deadline_and_late_afterwards() -> None:
    one = gathering()
    assert sent(one, pane_end(1, 5), pane_end(0, 5), pane_end(0, 10, "A")) == [(5, 0, 2)]
    assert sent(one, pane_end(0, 20, "A")) == []
    assert sent(one, pane_end(0, 25)) == [(10, 1, 1)]
    outcome, panes = one.apply(pane_end(1, 10, "B"), 0)
    assert (outcome, panes) == (Outcome.LATE, [])
    assert sent(one, pane_end(1, 25)) == [(20, 1, 2), (25, 0, 2)]


def test_without_a_deadline_it_waits_for_ever() -> None:
    one = gathering(deadline_min=None)
    assert sent(one, *[pane_end(0, minute, "A") for minute in range(5, 500, 5)]) == []


def test_a_repeated_end_changes_nothing() -> None:
    one = gathering()
    one.apply(pane_end(0, 5, "A"), 0)
    assert one.apply(pane_end(0, 5, "B"), 0) == (Outcome.DUPLICATE, [])
    assert sent(one, pane_end(1, 5)) == [(5, 1, 2)]


def test_an_end_in_parts_is_whole_with_its_last() -> None:
    one = gathering()
    parts = pane_end(0, 5, "A", more=True), pane_end(1, 5), pane_end(0, 5, "B")
    assert sent(one, *parts) == [(5, 2, 2)]


def test_a_partition_that_the_namespace_has_not_is_rejected() -> None:
    with pytest.raises(Rejected, match=r"`partition`: expected under 2, got 2"):
        gathering().apply(pane_end(2, 5), 0)


LOG = [
    pane_end(p, minute, *(("A", "B") if (minute + p) % 3 else ()))
    for minute, p in itertools.product(range(5, 90, 5), range(3))
    if (minute * 7 + p) % 4
]
LOG.sort(key=lambda part: micros(part.end) + 25 * MINUTE * (part.partition == 2))  # it lags


def outputs(restart_every: int | None) -> list[tuple[str, bytes, bytes, int]]:
    out, slots = Outputs(), dict[bytes, bytes]()
    step = MarketStep(gathering(3), 2, stamp_outputs=True)
    for i, part in enumerate(LOG):
        key = str(part.partition).encode()
        step.apply("pane-ends", Record(0, i, i, key, encode(part)), out)
        if restart_every and i % restart_every == 0:
            for slot, value in step.take_changes():
                slots.pop(slot, None) if value is None else slots.update({slot: value})
            meta = msgspec.json.decode(msgspec.json.encode(step.meta()))
            step = MarketStep(gathering(3), 2, stamp_outputs=True)
            step.restore(slots, meta)
            assert len(slots) < 20
    return out


def test_a_restart_at_any_record_changes_no_output() -> None:
    whole = outputs(None)
    assert len(whole) > 20
    assert {topic for topic, *_ in whole} == {"market", "late-events"}
    for restart_every in (1, 2, 5):
        assert outputs(restart_every) == whole


def test_every_partition_gets_the_pane_stamped_a_millisecond_after_the_last_answer() -> None:
    out = Outputs()
    step = MarketStep(gathering(), 2, stamp_outputs=True)
    for i, part in enumerate((pane_end(0, 5, "A"), pane_end(1, 5))):
        step.apply("pane-ends", Record(0, i, 1_000 + i, str(i).encode(), encode(part)), out)
    assert [(topic, key, ms) for topic, key, _, ms in out] == [("market", b"*", 1_002)] * 2
    assert decode(MarketPane, out[0][2]).n_symbols == 1


def test_the_stamp_is_the_same_however_far_a_partition_has_run_ahead() -> None:
    stamps = []
    for order in ((0, 0, 1, 1), (0, 1, 0, 1), (1, 1, 0, 0)):
        step, out, n = MarketStep(gathering(), 1, stamp_outputs=True), Outputs(), [0, 0]
        for p in order:
            n[p] += 1
            part, at_ms = pane_end(p, 5 * n[p], "AB"[p]), 1_000 * n[p] + p
            step.apply("pane-ends", Record(0, 0, at_ms, str(p).encode(), encode(part)), out)
        stamps.append([at_ms for *_, at_ms in out])
    assert stamps == [[1_002, 2_002]] * 3


def test_what_comes_too_late_is_kept_as_a_late_event() -> None:
    out = Outputs()
    step = MarketStep(gathering(), 2, stamp_outputs=False)
    parts = pane_end(0, 5, "A"), pane_end(0, 30, "A"), pane_end(1, 5, "B")
    for i, part in enumerate(parts):
        key = str(part.partition).encode()
        outcome = step.apply("pane-ends", Record(0, i, 0, key, encode(part)), out)
    assert outcome is Outcome.LATE
    late = decode(LateEvent, next(value for topic, _, value, _ in out if topic == "late-events"))
    assert (late.topic, late.offset, late.symbol) == ("pane-ends", 2, "*")


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        (b"0", b"{}", "partition"),
        (b"1", encode(pane_end(0, 5)), "key: expected"),
        (b"0", None, "truncated|JSON"),
    ],
)
def test_a_bad_record_is_rejected(key: bytes, value: bytes | None, reason: str) -> None:
    step = MarketStep(gathering(), 2, stamp_outputs=False)
    with pytest.raises(Rejected, match=reason):
        step.apply("pane-ends", Record(0, 0, 0, key, value), Outputs())  # type: ignore[arg-type]
