"""What a partition owes the market, and when."""

from __future__ import annotations

import msgspec

from stream.engine.checkpoint import MAX_RECORD_BYTES
from stream.events import SymbolEnd, encode
from stream.features.vector import FEATURE_SETS
from stream.scoring.intervals import Intervals, pane_ends

MINUTE = 60_000_000
LATE = 2_000_000


def intervals(name: str) -> Intervals:
    return Intervals(FEATURE_SETS[name].market, LATE)


def taken(one: Intervals, minute: float) -> list[tuple[int, set[str]]]:
    return [(end // MINUTE, symbols) for end, symbols in one.take(int(minute * MINUTE) + LATE)]


def test_an_interval_is_told_of_when_time_and_lateness_have_passed_its_end() -> None:
    one = intervals("intraday")
    assert taken(one, 5) == [(5, set())]
    assert one.due_at == 10 * MINUTE + LATE
    one.trade("AAPL", 10 * MINUTE)
    assert taken(one, 9.9) == []
    assert taken(one, 10) == [(10, {"AAPL"})]
    assert not one.trade("MSFT", 10 * MINUTE)


def test_a_jump_tells_of_what_traded_and_of_the_last_empty_interval() -> None:
    one = intervals("intraday")
    one.trade("AAPL", 10 * MINUTE)
    assert taken(one, 999) == [(10, {"AAPL"}), (995, set())]
    assert one.unanswered(15 * MINUTE + LATE - 1) is None
    assert one.unanswered(15 * MINUTE + LATE) == 10 * MINUTE
    one.answered(10 * MINUTE)
    assert one.unanswered(15 * MINUTE + LATE) is None


def test_a_session_is_told_of_after_its_close_also_without_a_bar() -> None:
    one = intervals("daily")
    one.close(390 * MINUTE)
    assert one.due_at == 405 * MINUTE + LATE
    assert taken(one, 404) == []
    assert taken(one, 405) == [(390, set())]
    assert taken(one, 5_000) == []


def test_who_waits_is_released_by_the_answer_or_by_time() -> None:
    for release in (
        lambda one: one.answered(390 * MINUTE),
        lambda one: one.overdue(480 * MINUTE + LATE),
    ):
        one = intervals("daily")
        one.waiting = {390 * MINUTE: {"B", "A"}, 900 * MINUTE: {"A"}}
        assert one.overdue(479 * MINUTE) == []
        assert release(one) == [(390 * MINUTE, "A"), (390 * MINUTE, "B")]
        assert list(one.waiting) == [900 * MINUTE]


def test_a_checkpoint_keeps_all_of_it() -> None:
    one = intervals("daily")
    one.trade("AAPL", 390 * MINUTE)
    one.waiting = {390 * MINUTE: {"AAPL"}}
    taken(one, 405)
    one.close(900 * MINUTE)
    other = intervals("daily")
    other.restore(msgspec.json.decode(msgspec.json.encode(one.meta())))
    assert vars(other) == vars(one)


def test_many_symbols_are_told_of_in_parts_that_a_record_can_hold() -> None:
    names = FEATURE_SETS["intraday"].market.ranked
    value = -1.2345678901234567e-300
    symbols = [SymbolEnd(f"S{i:015}", "s" * 64, value, (value,) * len(names)) for i in range(4_500)]
    parts = list(pane_ends(3, 60, names, symbols))
    assert [part.more for part in parts] == [True, True, False]
    assert all(len(encode(part)) < MAX_RECORD_BYTES for part in parts)
    assert [one for part in parts for one in part.symbols] == symbols
    assert len(list(pane_ends(3, 60, names, []))) == 1
