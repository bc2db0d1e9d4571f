"""What a symbol's state promises besides its numbers: lateness, revisions, restore, no leaks."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest

from stream.errors import Refused, Rejected
from stream.features.panes import Pane, of_bar
from stream.features.symbol import MAX_EVIDENCE, NewsChange, SymbolState
from stream.features.vector import FEATURE_SETS
from tests.unit.features import scripts
from tests.unit.features.scripts import DAY, HOUR, MINUTE, T0, item, new_state


def names_and_values(state: SymbolState, cut: int, *, include_open: bool = True):
    vector = state.vector(cut, include_open=include_open)
    return dict(zip(state.feature_set.names, vector, strict=True))


def snapshot(slots, state):
    for slot, value in state.take_changes():
        if value is None:
            slots.pop(slot, None)
        else:
            slots[slot] = value
    return dict(slots)


def restored(name, slots):
    state = new_state(name)
    state.restore(slots)
    return state


# -- panes -------------------------------------------------------------------------------------


def test_trade_on_a_boundary_belongs_to_the_pane_that_starts_there():
    state = new_state("intraday")
    state.apply_trade(T0 - 1, 10.0, 1.0)
    state.apply_trade(T0, 11.0, 1.0)
    first, second = state.close_through(T0 + MINUTE)
    assert (first.start, first.end, first.close) == (T0 - MINUTE, T0, 10.0)
    assert (second.start, second.end, second.close) == (T0, T0 + MINUTE, 11.0)


def test_trade_for_a_closed_pane_is_late_and_changes_nothing():
    state = new_state("intraday")
    state.apply_trade(T0, 10.0, 1.0)
    state.close_through(T0 + MINUTE)
    before = snapshot({}, state)
    assert state.apply_trade(T0 + 5, 99.0, 1.0) is False
    assert snapshot({}, state) == {}
    assert state.last_price() == 10.0
    assert sorted(slot.partition("|")[0] for slot in before) == ["misc", "pane"]
    assert state.apply_trade(T0 + MINUTE, 12.0, 1.0) is True


def test_two_panes_stay_open_until_each_is_closed_in_time_order():
    state = new_state("intraday")
    state.apply_trade(T0 + MINUTE, 10.0, 1.0)
    state.apply_trade(T0, 11.0, 1.0)
    assert state.next_close() == T0 + MINUTE
    assert [pane.end for pane in state.close_through(T0 + 5 * MINUTE)] == [
        T0 + MINUTE,
        T0 + 2 * MINUTE,
    ]
    assert state.next_close() is None


def test_signed_volume_follows_the_tick_rule_across_panes():
    state = new_state("intraday")
    for second, price, size in [(0, 10.0, 1.0), (1, 10.0, 2.0), (2, 9.9, 4.0), (3, 9.9, 8.0)]:
        state.apply_trade(T0 + second * 1_000_000, price, size)
    state.apply_trade(T0 + MINUTE, 9.9, 16.0)  # unchanged: takes the sign before
    state.apply_trade(T0 + MINUTE + 1, 10.0, 32.0)
    state.apply_trade(T0 + 2 * MINUTE, 10.1, 64.0)  # the step between panes is up
    signed = [pane.signed_volume for pane in state.close_through(T0 + 3 * MINUTE)]
    assert signed == [-12.0, 16.0, 64.0]


def test_second_bar_for_an_interval_is_late():
    state = new_state("daily")
    bar = (T0, T0 + HOUR, 10.0, 11.0, 9.0, 10.5, 100.0)
    assert isinstance(state.apply_bar(of_bar(*bar)), Pane)
    assert state.apply_bar(of_bar(*bar)) is None
    assert state.apply_bar(of_bar(T0 - DAY, T0 - DAY + HOUR, *bar[2:])) is None


def test_bar_takes_the_place_of_trades_applied_to_its_interval():
    state = new_state("intraday")
    state.apply_trade(T0, 10.0, 1.0)
    pane = state.apply_bar(of_bar(T0, T0 + MINUTE, 20.0, 21.0, 19.0, 20.5, 100.0))
    assert pane is not None
    assert state.next_close() is None
    assert state.apply_trade(T0 + 1, 10.0, 1.0) is False


def test_trade_on_a_feature_set_of_bars_is_rejected():
    with pytest.raises(Rejected, match="expects bars"):
        new_state("daily").apply_trade(T0, 10.0, 1.0)


def test_pane_without_trades_is_not_made():
    state = new_state("intraday")
    assert state.close_through(T0) == []
    assert set(names_and_values(state, T0).values()) >= {None, 0.0}


# -- news --------------------------------------------------------------------------------------


def test_correction_counts_from_its_own_time_and_the_first_revision_until_then():
    state = new_state("intraday")
    assert state.apply_news(item("a", at=T0, polarity=0.5)) is NewsChange.ADDED
    corrected = item("a", at=T0 + MINUTE, revision=2, status="corrected", polarity=-0.5)
    assert state.apply_news(corrected) is NewsChange.REPLACED
    assert names_and_values(state, T0)["sentiment_mean_1h"] == 0.5
    assert names_and_values(state, T0 + MINUTE)["sentiment_mean_1h"] == -0.5
    assert names_and_values(state, T0 + MINUTE)["news_count_1h"] == 1.0


def test_retraction_removes_and_lower_or_equal_revisions_change_nothing():
    state = new_state("intraday")
    state.apply_news(item("a", revision=2))
    assert state.apply_news(item("a", revision=2, at=T0 + 1)) is NewsChange.IGNORED
    assert state.apply_news(item("a", revision=1, at=T0 + 1)) is NewsChange.IGNORED
    gone = item("a", revision=3, at=T0 + 2, status="retracted")
    assert state.apply_news(gone) is NewsChange.REMOVED
    assert state.evidence(T0 + 1) == ("a",)
    assert state.evidence(T0 + 2) == ()
    assert state.last_news_at(T0 + 2) is None


def test_item_older_than_the_longest_window_is_ignored():
    state = new_state("intraday")
    state.apply_trade(T0, 10.0, 1.0)
    assert state.apply_news(item(at=T0 - 7 * DAY)) is NewsChange.IGNORED
    assert state.apply_news(item(at=T0 - 7 * DAY + 1)) is NewsChange.ADDED


def test_evidence_is_newest_first_and_bounded():
    state = new_state("daily")
    for i in range(30):
        state.apply_news(item(f"n{i}", at=T0 + i))
    evidence = state.evidence(T0 + 28)
    assert len(evidence) == MAX_EVIDENCE
    assert evidence[:2] == ("n28", "n27")


def test_items_are_counted_by_sentiment_model():
    state = new_state("daily")
    state.apply_news(item("a", model="x"))
    state.apply_news(item("b", model="y"))
    state.apply_news(item("c", at=T0 + 1, model="y"))
    assert state.models_in_window(T0) == {"x": 1, "y": 1}
    assert state.models_in_window(T0 + 1) == {"x": 1, "y": 2}
    assert state.models_in_window(T0 + 31 * DAY) == {}


def test_neutral_news_is_zero_and_no_news_is_missing():
    state = new_state("intraday")
    assert names_and_values(state, T0)["sentiment_mean_1h"] is None
    state.apply_news(item("a", polarity=0.0))
    assert names_and_values(state, T0)["sentiment_mean_1h"] == 0.0


# -- sessions, actions, freshness ----------------------------------------------------------------


def test_split_leaves_the_return_over_it_unchanged():
    state = new_state("daily")
    state.apply_bar(of_bar(T0, T0 + HOUR, 100.0, 100.0, 100.0, 100.0, 10.0))
    state.apply_split(T0 + 2 * HOUR, 4.0)
    state.apply_bar(of_bar(T0 + DAY, T0 + DAY + HOUR, 25.0, 25.0, 25.0, 25.0, 40.0))
    assert names_and_values(state, T0 + DAY + HOUR)["return_log_1d"] == 0.0


def test_split_counts_only_for_cuts_from_its_ex_date():
    state = new_state("daily")
    for day in (0, 1):
        state.apply_bar(of_bar(T0 + day * DAY, T0 + day * DAY + HOUR, 10.0, 10.0, 10.0, 10.0, 1.0))
    cut = T0 + DAY + HOUR
    before = state.vector(cut, include_open=False)
    state.apply_split(cut + 1, 2.0)
    assert state.vector(cut, include_open=False) == before


def test_later_dividend_in_adjusted_closes_changes_no_feature_by_its_level():
    """The whole past scaled by one factor, as a provider does after a dividend to come."""
    vectors = []
    for scale in (1.0, 0.5):
        state = new_state("daily")
        for event in scripts.days(7, n=280, adjusted=True):
            if event[0] == "bar":
                event = (*event[:8], event[8] * scale, *event[9:])
            scripts.apply(state, event)
        vectors.append(state.vector(T0 + 280 * DAY, include_open=False))
    for a, b in zip(*vectors, strict=True):
        assert a is b is None or math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12)


def test_repeated_and_older_session_ticks_change_nothing():
    state = new_state("intraday")
    state.apply_session("open", 10, T0)
    state.apply_trade(T0, 10.0, 1.0)
    expected = state.vector(T0 + 5, include_open=True)
    state.apply_session("open", 10, T0)
    state.apply_session("open", 9, T0 - DAY)
    state.apply_session("close", 9, T0 - HOUR)
    assert state.vector(T0 + 5, include_open=True) == expected


def test_close_that_came_before_its_open_is_remembered():
    state = new_state("intraday")
    state.apply_session("close", 10, T0 + HOUR)
    state.apply_session("open", 10, T0)
    assert names_and_values(state, T0 + MINUTE)["clock_since_open_session"] == 1.0
    assert names_and_values(state, T0 + HOUR + 1)["clock_since_open_session"] is None


def test_close_before_its_own_open_is_no_close():
    state = new_state("intraday")
    state.apply_session("close", 10, T0)
    state.apply_session("open", 10, T0 + HOUR)
    state.apply_news(item("a", at=T0 + MINUTE))
    state.apply_news(item("b", at=T0 + HOUR))
    found = names_and_values(state, T0 + HOUR + MINUTE)
    assert (found["news_afterclose_1d"], found["clock_since_open_session"]) == (0.0, 1.0)


def test_pane_closed_after_the_next_open_counts_in_its_own_session():
    """Round the clock: the last pane of a day closes when the next day is open already."""
    state = new_state("intraday")
    state.apply_session("open", 1, T0 - DAY)
    state.apply_trade(T0 - HOUR, 10.0, 1.0)
    state.apply_trade(T0 - 1, 20.0, 1.0)
    state.apply_session("close", 1, T0)
    state.apply_session("open", 2, T0)
    state.close_through(T0)
    state.apply_trade(T0 + 1, 40.0, 1.0)
    assert names_and_values(state, T0 + 2)["gap_overnight_session"] == pytest.approx(math.log(2))


def test_freshness_is_the_newest_trade_and_item_at_the_cut():
    state = new_state("intraday")
    assert state.last_tick_at(T0, include_open=True) is None
    state.apply_trade(T0 + 7, 10.0, 1.0)
    assert state.last_tick_at(T0 + 7, include_open=True) == T0 + 7
    assert state.last_tick_at(T0 + 7, include_open=False) is None
    state.apply_trade(T0 + MINUTE, 11.0, 1.0)
    state.close_through(T0 + MINUTE)
    for _ in range(2):  # whatever the next pane has seen by then
        assert state.last_tick_at(T0 + MINUTE, include_open=False) == T0 + 7
        state.apply_trade(T0 + MINUTE + 3, 11.0, 1.0)
    assert state.last_tick_at(T0 + MINUTE + 3, include_open=True) == T0 + MINUTE + 3
    state.apply_news(item(at=T0 + 1))
    assert state.last_news_at(T0) is None
    assert state.last_news_at(T0 + 2) == T0 + 1


def test_warm_after_the_feature_sets_panes():
    state = new_state("intraday")
    needed = state.feature_set.warmup_panes
    for i in range(needed):
        assert not state.warm(T0 + i * MINUTE)
        state.apply_trade(T0 + i * MINUTE, 10.0, 1.0)
        state.close_through(T0 + (i + 1) * MINUTE)
    assert state.warm(T0 + needed * MINUTE)
    assert not state.warm(T0 + needed * MINUTE + 5 * HOUR)


# -- checkpoints and leaks -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "events"),
    [
        ("intraday", scripts.ticks(11, "late", n=130)),
        ("intraday", scripts.ticks(12, "gaps", n=130)),
        ("daily", scripts.days(13, n=60, actions=True)),
        ("daily", scripts.days(14, n=40, adjusted=True)),
    ],
    ids=["late", "gaps", "daily actions", "daily adjusted"],
)
def test_state_cut_and_restored_at_each_event_goes_on_bit_equal(name, events):
    whole, now, expected = new_state(name), 0, []
    for event in events:
        scripts.apply(whole, event)
        now = scripts.time_of(event, now)
        expected.append((now, whole.vector(now, include_open=True), whole.evidence(now)))
    state, slots = new_state(name), {}
    for event, (cut, vector, evidence) in zip(events, expected, strict=True):
        scripts.apply(state, event)
        assert state.vector(cut, include_open=True) == vector
        assert state.evidence(cut) == evidence
        state = restored(name, snapshot(slots, state))
        assert state.vector(cut, include_open=True) == vector


@pytest.mark.parametrize("at", [0, 37, 150])
def test_state_restored_once_goes_on_bit_equal_to_the_end(at):
    events = scripts.ticks(15, "mixed", n=300, step_s=90)
    whole, cut_state, slots, now = new_state("intraday"), new_state("intraday"), {}, 0
    for i, event in enumerate(events):
        scripts.apply(whole, event)
        scripts.apply(cut_state, event)
        now = scripts.time_of(event, now)
        if i % 10 == 0:
            snapshot(slots, cut_state)
        if i == at:
            cut_state = restored("intraday", snapshot(slots, cut_state))
    assert whole.vector(now, include_open=True) == cut_state.vector(now, include_open=True)
    assert whole.warm(now) == cut_state.warm(now)
    taken = [each.last_tick_at(now, include_open=True) for each in (whole, cut_state)]
    assert taken[0] == taken[1]


def test_slots_of_a_long_run_are_those_of_the_longest_window():
    state, slots = new_state("intraday"), {}
    for i in range(1000):
        state.apply_trade(T0 + i * MINUTE, 10.0, 1.0)
        state.close_through(T0 + (i + 1) * MINUTE)
        state.apply_news(item(f"n{i}", at=T0 + i * MINUTE))
        snapshot(slots, state)
    assert sum(slot.startswith("pane|") for slot in slots) == 330
    assert not any(slot.startswith("open|") for slot in slots)
    assert sum(map(len, slots.values())) / len(slots) < 200
    state.apply_trade(T0 + 12 * DAY, 10.0, 1.0)
    state.close_through(T0 + 12 * DAY + MINUTE)
    kept = snapshot(slots, state)
    assert {slot.partition("|")[0] for slot in kept} == {"pane", "misc"}


def test_unknown_slot_is_refused():
    with pytest.raises(Refused, match="'nonsense'"):
        new_state("intraday").restore({"nonsense": b"1"})


@pytest.mark.parametrize("seed", [21, 22, 23])
def test_events_after_a_cut_change_nothing_before_it(seed):
    events = scripts.ticks(seed, "mixed", n=250, step_s=10)
    state, now, seen = new_state("intraday"), 0, []
    for event in events:
        scripts.apply(state, event)
        now = scripts.time_of(event, now)
        if event[0] == "close":
            seen.append((event[1], state.vector(event[1], include_open=False)))
        future_news = event[0] == "news" and event[1].available_at <= now
        future_action = event[0] in ("split", "dividend") and event[1] <= now
        session = event[0] == "session"
        if future_news or future_action or session:
            seen.clear()  # what it says held before it came: the past may change
        for cut, vector in seen[-30:]:
            if now - cut < HOUR:
                assert state.vector(cut, include_open=False) == vector


def test_history_before_the_longest_window_changes_no_bit():
    """Two runs that differ only before the windows agree exactly afterwards."""
    events = scripts.ticks(31, "mixed", n=900, step_s=40)
    events = [event for event in events if event[0] in ("trade", "close")]
    until = max(event[1] for event in events)
    short = [event for event in events if event[1] > until - 5 * HOUR]
    assert len(short) < len(events) - 100
    vectors = []
    for script in (events, short):
        state = new_state("intraday")
        for event in script:
            scripts.apply(state, event)
        vectors.append(state.vector(until, include_open=True))
    assert vectors[0] == vectors[1]


@pytest.mark.parametrize("name", sorted(FEATURE_SETS))
def test_names_are_unique_and_built_from_signal_stat_window(name):
    names = FEATURE_SETS[name].names
    assert len(set(names)) == len(names) >= 40
    assert all(len(each.split("_")) >= 3 and each == each.lower() for each in names)


def test_import_of_features_loads_no_framework_or_driver():
    code = (
        "import sys, pkgutil, importlib, stream.features as f\n"
        "for m in pkgutil.iter_modules(f.__path__, f.__name__ + '.'):\n"
        "    importlib.import_module(m.name)\n"
        "banned = {'faust', 'mode', 'torch', 'lightgbm', 'psycopg', 'numpy', 'pandas', 'redis',"
        " 'confluent_kafka', 'aiokafka', 'exchange_calendars'}\n"
        "print(sorted(banned & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
