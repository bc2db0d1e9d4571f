"""The sequence of panes equals its naive recomputation from the raw events."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from stream.features.sequence import CHANNELS, LENGTH, N_VALUES
from tests.unit.features import naive, scripts
from tests.unit.features.scripts import DAY, HOUR, MINUTE, T0, item, trade

NAN = math.nan


def told(state, cut, *, include_open=False):
    values = np.frombuffer(state.sequence(cut, include_open=include_open), "<f4")
    return values.reshape(LENGTH, len(CHANNELS))


def expected(name, events, cut, include_open):
    """(LENGTH, CHANNELS), from the raw events alone."""
    short = name == "intraday"
    every = naive.visible(events, cut, include_open, 30 * MINUTE if short else math.inf)
    inside = [p for p in every if not short or p["end"] > cut - 4 * HOUR][-LENGTH:]
    window = 7 * DAY if short else 30 * DAY
    items = naive.news_at(events, cut)
    story = naive.stories(items, (3 if short else 7) * DAY)
    items = [i for i in items if story[i.article_id][0] == i.article_id]
    moves = [pane["r"] for pane in inside]
    if short and inside and every.index(inside[0]):
        before = every[every.index(inside[0]) - 1]
        if before["end"] <= cut - 4 * HOUR - 30 * MINUTE:
            moves[0] = None
    known = [move for move in moves if move is not None]
    unit = math.sqrt(sum(move**2 for move in known) / len(known)) if known else 0.0
    usual = naive.mean([pane["a_volume"] for pane in inside])
    rows = [[NAN] * len(CHANNELS)] * (LENGTH - len(inside))
    for i, (pane, move) in enumerate(zip(inside, moves, strict=True)):
        o, h, low, c = (pane[f"a_{k}"] for k in ("open", "high", "low", "close"))
        size = pane["a_volume"]
        prices = [NAN if move is None else move, math.log(c / o), math.log(h / low)]
        row = [value / unit if unit else NAN for value in prices]
        row.append((c - low) / (h - low) if h > low else NAN)
        row.append(math.log(size / usual) if size else NAN)
        row.append(pane["a_signed"] / size if size else NAN)
        since = pane["start"] if i == 0 else inside[i - 1]["end"]
        end = cut if i + 1 == len(inside) else pane["end"]
        if end <= cut - window:
            row += [NAN, NAN]
        else:
            own = [n for n in items if max(since, cut - window) < n.available_at <= end]
            weight = sum(n.relevance for n in own)
            tone = sum(n.relevance * n.polarity for n in own) / weight if weight else NAN
            row += [math.log(1 + len(own)), tone]
        rows.append(row)
    return np.array(rows)


def assert_as_expected(name, state, events, cut, include_open, where):
    got, want = (
        told(state, cut, include_open=include_open),
        expected(name, events, cut, include_open),
    )
    np.testing.assert_allclose(got, want, rtol=2e-6, atol=1e-6, err_msg=str(where))


@pytest.mark.parametrize("kind", ["mixed", "ties", "gaps", "late", "equal"])
def test_intraday_sequence_equals_naive_recomputation(kind):
    events = scripts.ticks(4, kind, n=300)
    state, now = scripts.new_state("intraday"), 0
    for i, event in enumerate(events):
        scripts.apply(state, event)
        now = scripts.time_of(event, now)
        if i % 31 == 0:
            assert_as_expected("intraday", state, events[: i + 1], now, True, i)
        if event[0] == "close" and i % 5 == 0:
            assert_as_expected("intraday", state, events[: i + 1], event[1], False, i)


@pytest.mark.parametrize(
    "script", [{}, {"adjusted": True}, {"actions": True}, {"equal": True}], ids=str
)
def test_daily_sequence_equals_naive_recomputation(script):
    events = scripts.days(5, n=70, **script)
    state = scripts.new_state("daily")
    for i, event in enumerate(events):
        scripts.apply(state, event)
        if event[0] == "bar" and i % 3 == 0:
            assert_as_expected("daily", state, events[: i + 1], event[2], False, i)


def test_what_comes_later_changes_no_sequence():
    state, chance = scripts.new_state("intraday"), random.Random(1)
    for minute in range(60):
        scripts.apply(state, trade(T0 + minute * MINUTE + 1, 10.0 + chance.random()))
        scripts.apply(state, ("close", T0 + minute * MINUTE))
    cut = T0 + 59 * MINUTE
    before = state.sequence(cut, include_open=False)
    scripts.apply(state, trade(cut + 2, 99.0))
    scripts.apply(state, ("close", cut + MINUTE))
    scripts.apply(state, ("news", item(at=cut + 1)))
    scripts.apply(state, ("split", cut + 1, 2.0))
    assert state.sequence(cut, include_open=False) == before
    assert state.sequence(cut + MINUTE, include_open=False) != before


def test_a_split_changes_no_move():
    plain, split = (scripts.new_state("intraday") for _ in range(2))
    for minute in range(40):
        for state, price in ((plain, 100.0), (split, 100.0 if minute < 20 else 50.0)):
            at = T0 + minute * MINUTE
            scripts.apply(state, trade(at + 1, price * 1.001 ** (minute % 3)))
            scripts.apply(state, ("close", at + MINUTE))
    scripts.apply(split, ("split", T0 + 20 * MINUTE, 2.0))
    cut = T0 + 40 * MINUTE
    move = CHANNELS.index("move")
    np.testing.assert_allclose(told(split, cut)[:, move], told(plain, cut)[:, move], atol=1e-6)


def test_state_of_a_checkpoint_gives_the_same_bits():
    state, now = scripts.new_state("intraday"), 0
    for event in scripts.ticks(6, n=300):
        scripts.apply(state, event)
        now = scripts.time_of(event, now)
    restored = scripts.new_state("intraday")
    restored.restore({slot: raw for slot, raw in state.take_changes() if raw is not None})
    assert restored.sequence(now, include_open=True) == state.sequence(now, include_open=True)


def test_without_panes_there_are_no_values():
    empty = np.frombuffer(scripts.new_state("daily").sequence(T0, include_open=True), "<f4")
    assert len(empty) == N_VALUES
    assert np.isnan(empty).all()
