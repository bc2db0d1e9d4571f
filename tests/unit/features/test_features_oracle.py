"""Each feature of a symbol's own equals its naive recomputation from the raw events, at every
prefix; those against the market have their oracle in test_relative_oracle.py."""

from __future__ import annotations

import math

import pytest

from stream.features.vector import FEATURE_SETS
from tests.unit.features import naive, scripts

OWN = {
    name: [feature.name for group in each.groups[:-5] for feature in group.features]
    for name, each in FEATURE_SETS.items()
}


def differences(name, state, prefix, cut, include_open):
    got = dict(
        zip(FEATURE_SETS[name].names, state.vector(cut, include_open=include_open), strict=True)
    )
    against = [got.pop(each) for each in FEATURE_SETS[name].names if each not in OWN[name]]
    assert not any(against)
    want = getattr(naive, name)(prefix, cut, include_open)
    assert list(got) == OWN[name]
    assert set(got) == set(want)
    return {key: (got[key], want[key]) for key in got if not same(got[key], want[key])}


def same(a, b):
    if a is None or b is None:
        return a is b
    return math.isclose(a, b, rel_tol=1e-7, abs_tol=1e-9)


@pytest.mark.parametrize("kind", ["mixed", "ties", "gaps", "late", "huge", "equal"])
@pytest.mark.parametrize("seed", [2])
def test_intraday_vector_equals_naive_recomputation_at_every_prefix(kind, seed):
    events = scripts.ticks(seed, kind, n=220)
    state, now = scripts.new_state("intraday"), 0
    for i, event in enumerate(events):
        scripts.apply(state, event)
        now = scripts.time_of(event, now)
        prefix = events[: i + 1]
        assert differences("intraday", state, prefix, now, True) == {}, (i, event)
        if event[0] == "close":
            assert differences("intraday", state, prefix, event[1], False) == {}, (i, event)


@pytest.mark.parametrize("kind", ["mixed", "equal"])
def test_intraday_vector_equals_naive_recomputation_over_a_long_day(kind):
    events = scripts.ticks(3, kind, n=1500, step_s=25)
    state, now = scripts.new_state("intraday"), 0
    for i, event in enumerate(events):
        scripts.apply(state, event)
        now = scripts.time_of(event, now)
        if i % 150 == 0:
            assert differences("intraday", state, events[: i + 1], now, True) == {}, (i, event)
    assert None not in state.vector(now, include_open=True)[:5]


@pytest.mark.parametrize(
    "script",
    [
        {},
        {"adjusted": True},
        {"equal": True},
        {"actions": True},
    ],
    ids=["plain", "adjusted closes", "all equal", "actions"],
)
def test_daily_vector_equals_naive_recomputation_at_every_prefix(script):
    events = scripts.days(5, n=290, **script)
    state, now = scripts.new_state("daily"), 0
    for i, event in enumerate(events):
        scripts.apply(state, event)
        now = scripts.time_of(event, now)
        if i % 12 == 0 or i < 60:
            cut = event[1].available_at if event[0] == "news" else now
            cut = max(cut, now)
            assert differences("daily", state, events[: i + 1], cut, True) == {}, (i, event)


def many_sessions():
    """Two trades a session for 258 sessions, with a split."""
    events = []
    for day in range(258):
        opened = scripts.T0 + day * scripts.DAY
        events.append(("session", "open", day, opened))
        events.append(scripts.trade(opened + 5, 10.0 + day % 7))
        events.append(("close", opened + scripts.MINUTE))
        events.append(scripts.trade(opened + 3 * scripts.HOUR, 11.0 + day % 5, 3.0))
        events.append(("close", opened + 3 * scripts.HOUR + scripts.MINUTE))
        events.append(("session", "close", day, opened + 6 * scripts.HOUR))
        if day == 100:
            events.append(("split", opened + 9 * scripts.HOUR, 2.0))
    return events


def test_momentum_reaches_back_250_sessions_of_one_minute_panes():
    events = many_sessions()
    state, now = scripts.new_state("intraday"), 0
    for i, event in enumerate(events):
        scripts.apply(state, event)
        now = scripts.time_of(event, now)
        if i % 50 == 0 or i > len(events) - 12:
            assert differences("intraday", state, events[: i + 1], now, True) == {}, (i, event)
    vector = dict(
        zip(FEATURE_SETS["intraday"].names, state.vector(now, include_open=True), strict=True)
    )
    assert vector["momentum_sessions_250d"] is not None


def test_every_feature_takes_a_value_in_the_scripts_that_the_oracle_judges():
    seen: dict[str, set[str]] = {"intraday": set(), "daily": set()}
    runs = [
        ("intraday", scripts.ticks(3, "mixed", n=1500, step_s=25)),
        ("intraday", many_sessions()),
        ("daily", scripts.days(5, n=290, actions=True)),
    ]
    for name, events in runs:
        state, now = scripts.new_state(name), 0
        for i, event in enumerate(events):
            scripts.apply(state, event)
            now = scripts.time_of(event, now)
            if i % 25 == 0 or i == len(events) - 1:
                vector = state.vector(now, include_open=True)
                names = FEATURE_SETS[name].names
                seen[name] |= {
                    n for n, value in zip(names, vector, strict=True) if value is not None
                }
    assert seen == {name: set(OWN[name]) for name in seen}
