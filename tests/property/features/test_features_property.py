"""Whatever the events: numbers are finite and in range, and a restored state goes on the same."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from stream.features.indicators import bollinger_b, rsi_cutler
from stream.features.panes import Pane, merged, of_bar
from stream.features.symbol import SymbolState
from stream.features.vector import FEATURE_SETS
from tests.unit.features import scripts

prices = st.one_of(st.floats(1e-4, 1e9), st.sampled_from([1e-4, 0.1, 10.0, 1e9]))
sizes = st.one_of(st.floats(0, 1e15), st.sampled_from([0.0, 1.0, 1e15]))
seconds = st.integers(0, 40_000)
shares = st.sampled_from([0.0, 0.3, 1.0])

trades = st.tuples(
    st.just("trade"), seconds, prices, sizes, st.just(None), st.just(None), st.just(True)
)
news = st.builds(
    lambda at, number, revision, status, polarity, relevance, sketch: (
        "news",
        scripts.item(
            f"n{number}", at=scripts.T0 + at * 1_000_000, revision=revision, status=status,
            polarity=polarity, relevance=relevance, sketch=sketch,
        ),
    ),
    seconds, st.integers(0, 5), st.integers(1, 4),
    st.sampled_from(["published", "corrected", "retracted"]), st.floats(-1, 1), shares,
    st.sampled_from(scripts.SKETCHES),
)  # fmt: skip
events = st.one_of(
    trades,
    trades,
    trades,
    st.tuples(st.just("close"), seconds),
    news,
    st.tuples(st.just("session"), st.sampled_from(["open", "close"]), st.integers(1, 4), seconds),
    st.tuples(st.just("split"), seconds, st.sampled_from([2.0, 0.1])),
    st.tuples(st.just("dividend"), seconds, st.floats(0.01, 1.0)),
)


def placed(event: tuple) -> tuple:
    """The event with its seconds turned to microseconds after T0."""
    kind, *args = event
    if kind == "news":
        return event
    place = 2 if kind == "session" else 0
    args[place] = scripts.T0 + args[place] * 1_000_000
    if kind == "close":
        args[0] -= args[0] % scripts.MINUTE
    return (kind, *args)


def bars(draw: st.DrawFn, n: int) -> list[tuple]:
    out = []
    for day in range(n):
        o, c = draw(st.sampled_from([1.0, 1.5, 2.0])), draw(st.sampled_from([1.0, 1.5, 2.0]))
        adj = draw(st.sampled_from([None, c, c * 0.9]))
        start = scripts.T0 + day * scripts.DAY
        out.append(scripts.bar(start, start + scripts.HOUR, o, 3.0, 0.5, c, 10.0, adj))
        if draw(st.booleans()):
            out.append(("split", start + 2 * scripts.HOUR, 2.0))
    return out


@st.composite
def bar_scripts(draw: st.DrawFn) -> list[tuple]:
    return bars(draw, draw(st.integers(1, 12)))


def in_range(text: str, value: float) -> bool:
    low, high = (float(part) for part in text.strip("[]()").split(", "))
    return low - 1e-9 <= value <= high + 1e-9


def run_and_restore_at(
    name: str, script: list[tuple], at: int
) -> tuple[SymbolState, SymbolState, int]:
    whole, other, slots, now = scripts.new_state(name), scripts.new_state(name), {}, scripts.T0
    for i, event in enumerate(script):
        scripts.apply(whole, event)
        scripts.apply(other, event)
        now = scripts.time_of(event, now)
        if i == at:
            slots = {slot: value for slot, value in other.take_changes() if value is not None}
            other = scripts.new_state(name)
            other.restore(slots)
    return whole, other, now


@settings(max_examples=120, deadline=None)
@given(st.lists(events.map(placed), max_size=40), st.integers(0, 40))
def test_any_intraday_events_give_finite_values_in_range_and_survive_a_restore(script, at):
    whole, other, now = run_and_restore_at("intraday", script, at)
    vector = whole.vector(now, include_open=True)
    for feature, value in zip(FEATURE_SETS["intraday"].features, vector, strict=True):
        if value is not None:
            assert math.isfinite(value), feature.name
            assert in_range(feature.range, value), (feature.name, value)
    assert other.vector(now, include_open=True) == vector
    assert other.evidence(now) == whole.evidence(now)
    assert other.next_close() == whole.next_close()


@settings(max_examples=80, deadline=None)
@given(bar_scripts(), st.integers(0, 24))
def test_bars_with_and_without_adjusted_closes_survive_a_restore(script, at):
    whole, other, now = run_and_restore_at("daily", script, at)
    assert other.vector(now, include_open=False) == whole.vector(now, include_open=False)


@given(st.lists(st.floats(1e-4, 1e9), min_size=2, max_size=30))
def test_rsi_and_bollinger_stay_in_range(closes):
    assert 0.0 <= rsi_cutler(closes) <= 100.0
    value = bollinger_b(closes)
    assert value is None or math.isfinite(value)


@given(st.lists(st.tuples(prices, sizes), min_size=3, max_size=3))
def test_merging_panes_is_associative_to_rounding(parts):
    a, b, c = (of_bar(i, i + 1, p, p, p, p, s, None, None, 1) for i, (p, s) in enumerate(parts))
    left, right = merged(merged(a, b), c), merged(a, merged(b, c))
    assert isinstance(left, Pane)
    for name in Pane.__struct_fields__:
        x, y = getattr(left, name), getattr(right, name)
        assert x is y is None or math.isclose(x, y, rel_tol=1e-12), name
