"""Event time, panes and triggers of one partition: what is due, and when."""

from __future__ import annotations

from datetime import date

import pytest

from stream.engine.step import Outcome
from stream.errors import Rejected
from stream.events import Bar, ClockTick, Instrument, SentimentScored, Tick, micros, moment
from stream.features.vector import FEATURE_SETS
from stream.scoring.due import Due
from stream.scoring.state import PartitionState
from tests.factories import instrument, policy

T0 = micros(moment(1_700_000_040_000_000))  # a whole minute
SECOND = 1_000_000
MINUTE = 60 * SECOND


def tick(at: int, symbol: str = "AAPL", price: float = 100.0, size: float = 10.0) -> Tick:
    return Tick(symbol=symbol, ts=moment(at), price=price, size=size)


def scored(at: int, article: str = "a1", revision: int = 1, **changes: object) -> SentimentScored:
    given: dict[str, object] = {
        "article_id": article,
        "revision": revision,
        "status": "published",
        "symbol": "AAPL",
        "source": "wire",
        "published_at": moment(at),
        "available_at": moment(at),
        "scored_at": moment(at),
        "negative": 0.1,
        "neutral": 0.2,
        "positive": 0.7,
        "relevance": 1.0,
        "model": "lexicon",
        "text_hash": article,
    }
    return SentimentScored(**{**given, **changes})  # type: ignore[arg-type]


def feed(state: PartitionState, *events: object) -> list[Due]:
    due: list[Due] = []
    for offset, event in enumerate(events):
        if isinstance(event, Tick):
            at = micros(event.ts)
        elif isinstance(event, ClockTick):
            at = micros(event.at)
        elif isinstance(event, Bar):
            at = micros(event.end)
        elif isinstance(event, Instrument):
            at = T0
        else:
            at = micros(event.available_at)  # type: ignore[attr-defined]
        state.apply(event, offset, at, due)  # type: ignore[arg-type]
    return due


def beat(at: int) -> ClockTick:
    return ClockTick(kind="beat", at=moment(at))


def test_a_pane_closes_when_event_time_passes_its_end_and_lateness() -> None:
    state = PartitionState(0, policy())
    assert feed(state, tick(T0 + 5 * SECOND), tick(T0 + 61 * SECOND, "MSFT")) == []
    due = feed(state, tick(T0 + 62 * SECOND, "MSFT"))
    assert [(d.symbol, d.trigger, d.trigger_ref) for d in due] == [
        ("AAPL", "pane", str(T0 + MINUTE))
    ]
    assert due[0].as_of == T0 + 62 * SECOND
    assert due[0].cut == T0 + MINUTE


def test_time_passes_by_beats_when_nothing_trades() -> None:
    state = PartitionState(0, policy())
    due = feed(state, tick(T0 + 5 * SECOND), beat(T0 + 70 * SECOND))
    assert [d.symbol for d in due] == ["AAPL"]


def test_an_interval_without_a_trade_makes_no_pane() -> None:
    state = PartitionState(0, policy())
    due = feed(state, tick(T0), beat(T0 + 70 * SECOND), beat(T0 + 600 * SECOND))
    assert len(due) == 1


def test_symbols_close_in_one_order_whatever_order_they_traded_in() -> None:
    names = ["MSFT", "AAPL", "IBM"]
    first = feed(PartitionState(0, policy()), *(tick(T0, s) for s in names), beat(T0 + 2 * MINUTE))
    second = feed(
        PartitionState(0, policy()), *(tick(T0, s) for s in names[::-1]), beat(T0 + 2 * MINUTE)
    )
    assert [d.symbol for d in first] == [d.symbol for d in second] == sorted(names)


def test_a_tick_of_a_closed_pane_is_late_and_moves_nothing() -> None:
    state = PartitionState(0, policy())
    feed(state, tick(T0), beat(T0 + 2 * MINUTE))
    due: list[Due] = []
    assert state.apply(tick(T0 + 1), 9, T0 + 2 * MINUTE, due) is Outcome.LATE
    assert due == []
    assert state.late_by == 2 * MINUTE - 1


def test_a_tick_behind_event_time_counts_while_its_pane_is_open() -> None:
    state = PartitionState(0, policy())
    feed(state, tick(T0 + 59 * SECOND), tick(T0 + 61 * SECOND))
    assert state.apply(tick(T0 + 10 * SECOND), 9, T0 + 61 * SECOND, []) is Outcome.APPLIED


def test_a_clock_far_ahead_is_rejected_and_time_stays() -> None:
    state = PartitionState(0, policy())
    feed(state, tick(T0))
    with pytest.raises(Rejected, match=r"`ts`: expected at most 60 s after"):
        state.apply(tick(T0 + 3600 * SECOND), 1, T0, [])
    assert state.event_time == T0


def test_a_time_before_1970_is_rejected() -> None:
    with pytest.raises(Rejected, match="`ts`: expected a time from 1970 on"):
        PartitionState(0, policy()).apply(tick(-1), 0, T0, [])


def test_news_is_due_at_once_with_its_article_in_evidence() -> None:
    state = PartitionState(0, policy())
    due = feed(state, tick(T0), scored(T0 + SECOND))
    assert [(d.trigger, d.trigger_ref, d.revision) for d in due] == [("news", "a1", 1)]
    assert due[0].as_of == T0 + SECOND
    assert due[0].evidence == ("a1",)


def test_the_same_revision_twice_is_a_duplicate_and_a_correction_is_due_again() -> None:
    state = PartitionState(0, policy())
    feed(state, scored(T0))
    due: list[Due] = []
    assert state.apply(scored(T0), 1, T0, due) is Outcome.DUPLICATE
    assert due == []
    better = scored(T0 + SECOND, revision=2, status="corrected")
    assert state.apply(better, 2, T0 + SECOND, due) is Outcome.APPLIED
    assert [(d.revision, d.status) for d in due] == [(2, "corrected")]


def test_a_pane_does_not_see_news_that_came_after_its_end() -> None:
    state = PartitionState(0, policy())
    due = feed(state, tick(T0 + 5 * SECOND), scored(T0 + 61 * SECOND), beat(T0 + 70 * SECOND))
    assert [(d.trigger, d.evidence) for d in due] == [("news", ("a1",)), ("pane", ())]


def test_in_a_replay_a_score_read_ahead_of_the_tape_waits_for_its_time() -> None:
    state = PartitionState(0, policy(news_waits_for_time=True))
    later, sooner = scored(T0 + 50 * SECOND, "late"), scored(T0 + 20 * SECOND, "soon")
    assert feed(state, later, sooner, tick(T0 + 10 * SECOND)) == []
    due = feed(state, tick(T0 + 30 * SECOND))
    assert [(d.trigger_ref, d.as_of, d.price) for d in due] == [("soon", T0 + 20 * SECOND, 100.0)]
    assert [d.trigger_ref for d in feed(state, beat(T0 + 55 * SECOND))] == ["late"]


def test_a_score_that_waits_survives_a_checkpoint() -> None:
    first = PartitionState(0, policy(news_waits_for_time=True))
    feed(first, scored(T0 + 50 * SECOND, "late"))
    second = PartitionState(0, policy(news_waits_for_time=True))
    second.restore(dict(first.take_changes()), first.meta())
    assert [d.trigger_ref for d in feed(second, beat(T0 + 55 * SECOND))] == ["late"]


def test_a_first_trade_of_a_pane_that_is_overdue_is_late() -> None:
    state = PartitionState(0, policy())
    feed(state, beat(T0 + 5 * MINUTE))
    assert state.apply(tick(T0), 1, T0 + 5 * MINUTE, []) is Outcome.LATE


def test_every_tick_is_due_when_the_policy_says_so() -> None:
    state = PartitionState(3, policy(score_every_tick=True))
    due = feed(state, tick(T0), tick(T0 + SECOND))
    assert [(d.trigger, d.trigger_ref) for d in due] == [("tick", "3:0"), ("tick", "3:1")]


def test_a_bar_closes_its_pane_and_a_second_one_is_late() -> None:
    state = PartitionState(
        0,
        policy(feature_set="daily", feature_set_version=FEATURE_SETS["daily"].version, tape="bars"),
    )
    bar = Bar(
        symbol="AAPL",
        start=moment(T0),
        end=moment(T0 + 390 * MINUTE),
        open=1.0,
        high=2.0,
        low=1.0,
        close=2.0,
        volume=5.0,
    )
    assert feed(state, bar) == []  # it waits for the market
    due = feed(state, beat(T0 + 480 * MINUTE + 2 * SECOND))
    assert [(d.trigger, d.cut) for d in due] == [("pane", T0 + 390 * MINUTE)]
    assert state.apply(bar, 1, micros(bar.end), []) is Outcome.LATE


def test_a_symbol_without_an_instrument_is_rejected_when_one_is_required() -> None:
    state = PartitionState(0, policy(require_instruments=True))
    with pytest.raises(Rejected, match=r"`symbol`: expected one that topic `instruments` names"):
        feed(state, tick(T0, "ZZZZ"))


@pytest.mark.parametrize("tape", ["ticks", "bars"])
def test_a_record_that_is_rejected_moves_no_time_and_closes_no_pane(tape: str) -> None:
    state = PartitionState(0, policy(require_instruments=True))
    feed(state, instrument("AAPL"), tick(T0))
    stranger = tick(T0 + 62 * SECOND, "ZZZZ")
    if tape == "bars":
        start, end = moment(T0), moment(T0 + 62 * SECOND)
        prices = dict.fromkeys(("open", "high", "low", "close"), 1.0)
        stranger = Bar(symbol="ZZZZ", start=start, end=end, volume=1.0, **prices)
    due: list[Due] = []
    with pytest.raises(Rejected):
        state.apply(stranger, 2, T0 + 62 * SECOND, due)
    assert (due, state.take_closed(), state.event_time) == ([], [], T0)
    assert [d.symbol for d in feed(state, beat(T0 + 62 * SECOND))] == ["AAPL"]


def test_a_repeated_beat_is_a_duplicate() -> None:
    state = PartitionState(0, policy())
    feed(state, beat(T0))
    assert state.apply(beat(T0), 1, T0, []) is Outcome.DUPLICATE


def _stream() -> list[object]:
    opened = ClockTick(kind="open", at=moment(T0), calendar="XNYS", session=date(2023, 11, 14))
    events: list[object] = [opened]
    for i in range(150):
        events.append(tick(T0 + i * 7 * SECOND, ("AAPL", "MSFT")[i % 2], 100 + (i * 37) % 11, i))
        if i % 20 == 10:
            events.append(scored(T0 + i * 7 * SECOND, f"a{i}"))
    return [*events, beat(T0 + 3600 * SECOND)]


@pytest.mark.parametrize("cut", [1, 40, 77, 120])
def test_a_run_cut_and_restored_gives_what_an_unbroken_one_gives(cut: int) -> None:
    events = _stream()
    whole = feed(PartitionState(0, policy()), *events)

    first = PartitionState(0, policy())
    before = feed(first, *events[:cut])
    slots = {key: value for key, value in first.take_changes() if value is not None}
    second = PartitionState(0, policy())
    second.restore(slots, first.meta())
    after = feed(second, *events[cut:])

    assert [d._replace(trigger_ref="") for d in before + after] == [
        d._replace(trigger_ref="") for d in whole
    ]


def test_events_to_come_change_nothing_before_them() -> None:
    events = _stream()
    whole = feed(PartitionState(0, policy()), *events)
    part = feed(PartitionState(0, policy()), *events[:100])
    assert whole[: len(part)] == part


# -- numbered trades -----------------------------------------------------------------------------


def numbered(at: int, seq: int | None, exchange: str = "Q") -> Tick:
    return Tick(symbol="AAPL", ts=moment(at), price=100.0, size=10.0, seq=seq, exchange=exchange)


def test_a_numbered_trade_sent_again_counts_once_and_an_unnumbered_one_twice() -> None:
    sent = [numbered(T0 + 1, 7), numbered(T0 + 3, 8), numbered(T0 + 2, None)]
    doubled = PartitionState(0, policy())
    due: list[Due] = []
    outcomes = [
        doubled.apply(each, offset, micros(each.ts), due)
        for offset, each in enumerate([*sent, *reversed(sent), numbered(T0 + 1, 7, "N")])
    ]
    again = [Outcome.APPLIED, Outcome.DUPLICATE, Outcome.DUPLICATE]
    assert outcomes == [*[Outcome.APPLIED] * 3, *again, Outcome.APPLIED]
    doubled.apply(
        ClockTick(kind="beat", at=moment(T0 + MINUTE + 2 * SECOND)), 9, T0 + 2 * MINUTE, due
    )
    ((_, pane),) = doubled.take_closed()
    assert pane.n_trades == 5


def test_numbers_are_kept_through_a_restart_and_forgotten_with_their_pane() -> None:
    state = PartitionState(0, policy())
    feed(state, numbered(T0 + 1, 7))
    slots = {key: value for key, value in state.take_changes() if value is not None}
    restored = PartitionState(0, policy())
    restored.restore(slots, state.meta())
    due: list[Due] = []
    assert restored.apply(numbered(T0 + 1, 7), 1, T0 + 1, due) is Outcome.DUPLICATE
    feed(restored, ClockTick(kind="beat", at=moment(T0 + MINUTE + 2 * SECOND)))
    changes = dict(restored.take_changes())
    assert changes[f"AAPL|seen|{T0}".encode()] is None
    assert restored.apply(numbered(T0 + 1, 7), 2, T0 + MINUTE, due) is Outcome.LATE
