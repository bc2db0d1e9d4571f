"""Labels against a naive walk over the panes, and each reason for having none.

as_of          entry [==]            exit [==]
  |- latency, start -|---- horizon ----|
"""

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stream.errors import Refused
from stream.features.adjust import Action
from stream.features.panes import MINUTE_US, Pane, of_bar
from tests.factories import policy
from training.errors import TrainingRefused
from training.label_rules import LABEL_RULES, label_rule
from training.labels import Left, classes, forward_returns
from training.prices import NEVER, Sessions, Tape, price_path
from training.retrain import retrain

INTRADAY, DAILY = label_rule("intraday"), label_rule("daily")
DAY = 86_400_000_000
OPEN, CLOSE = 14 * 60 + 30, 21 * 60  # minutes of a day


def make_pane(minute, price=10.0, vwap=None, volume=100.0):
    start = minute * MINUTE_US
    pane = Pane.of_interval(start, start + MINUTE_US, price)
    pane.volume = volume
    pane.notional = (price if vwap is None else vwap) * volume
    return pane


def make_day(day, open_, close=None, adj_close=None):
    start = day * DAY + 14 * 3_600_000_000
    close = open_ if close is None else close
    high, low = max(open_, close), min(open_, close)
    end = start + 7 * 3_600_000_000
    return of_bar(start, end, open_, high, low, close, 1e6, adj_close, None, None)


def make_sessions(*spans):
    """Sessions from (open, close) in microseconds; none touches the next."""
    opens, closes = np.array(spans, dtype=np.int64).T
    return Sessions(opens, closes, closes)


def labelled(as_of, panes, rule, until, *, actions=(), mids=(), sessions=None):
    path = price_path(Tape(panes, actions, mids, sessions), rule)
    return forward_returns(as_of, path, rule, until)


def session_of(pane, spans):
    return next((s for s in spans if s[0] <= pane.start and pane.end <= s[1]), None)


def naive(as_of, panes, rule, until, spans):
    """(entry pane, exit pane) or the reason, by walking."""
    if rule.price == "previous close":
        before = [pane for pane in panes if pane.end <= as_of]
        entry = before[-1] if before else None
        if entry is None or as_of - entry.end > rule.max_wait_us:
            return Left.NO_ENTRY
    else:
        ready = as_of + rule.latency_us
        entry = next((pane for pane in panes if pane.start >= ready), None)
        if entry is None and ready + rule.max_wait_us > until:
            return Left.UNMATURED
        if entry is None or entry.start - ready > rule.max_wait_us:
            return Left.NO_ENTRY
    target, latest = entry.start + rule.horizon_us, None
    if rule.price != "vwap":
        out = (panes[panes.index(entry) + rule.sessions :] or [None])[0]
    else:
        if spans and rule.sessions is not None:
            now = spans.index(session_of(entry, spans))
            if now + rule.sessions >= len(spans):
                return Left.UNMATURED
            target = entry.start + spans[now + rule.sessions][0] - spans[now][0]
        out = next((pane for pane in panes if pane.start >= target), None)
        if spans and not rule.over_close:
            latest = session_of(entry, spans)[1]
            if target >= latest or (out and out.end > latest):
                return Left.CROSSES_CLOSE
    gone = target + rule.max_exit_wait_us
    if out is None:
        return Left.UNMATURED if min(gone, latest or gone) > until else Left.NO_EXIT
    return Left.NO_EXIT if out.start > gone else (entry, out)


def assert_same(as_of, labels, panes, rule, until, sessions=None):
    spans = [] if sessions is None else list(zip(sessions.opens, sessions.closes, strict=True))
    if spans:
        panes = [pane for pane in panes if session_of(pane, spans)]
    for i, at in enumerate(as_of):
        expected = naive(int(at), panes, rule, until, spans)
        if isinstance(expected, Left):
            assert labels.left[i] == expected
            continue
        entry, out = expected
        assert labels.left[i] == Left.LABELLED
        if rule.price == "open":
            times, prices = (entry.start, out.start), (entry.open, out.open)
        elif rule.price == "vwap":
            times = entry.end, out.end
            prices = [pane.notional / pane.volume for pane in (entry, out)]
        else:
            times, prices = (entry.end, out.end), (entry.close, out.close)
        assert (labels.entry_us[i], labels.exit_us[i]) == times
        assert labels.forward_return[i] == prices[1] / prices[0] - 1.0


@pytest.mark.parametrize("seed", range(8))
def test_intraday_labels_equal_a_naive_walk(seed):
    draw = random.Random(seed)
    minutes = sorted(draw.sample(range(400), draw.choice([3, 60, 200, 390])))
    panes = [make_pane(m, draw.uniform(9, 11), draw.uniform(9, 11)) for m in minutes]
    until = (minutes[-1] + draw.randrange(60)) * MINUTE_US
    as_of = [draw.randrange(410 * MINUTE_US) for _ in range(200)] + [m * MINUTE_US for m in minutes]
    labels = labelled(as_of, panes, INTRADAY, until)
    assert_same(as_of, labels, panes, INTRADAY, until)


@pytest.mark.parametrize("horizon", ["30m", "24h", "1d", "2w"])
@pytest.mark.parametrize("known", [True, False])
def test_intraday_labels_over_sessions_equal_a_naive_walk(horizon, known):
    """Half days, trades outside sessions, a day without any, holes; the last day has no close."""
    draw = random.Random(horizon)
    rule = label_rule("intraday", horizon)
    spans, panes = [], []
    for day in (d for d in range(1, 22) if d % 7 not in (0, 6) and d != 10):
        close = CLOSE if day % 5 else OPEN + 150
        first = day * 1440
        spans.append(((first + OPEN) * MINUTE_US, (first + close) * MINUTE_US))
        for minute in range(first + OPEN - 30, first + close + 30):
            if draw.random() < 0.25:
                panes.append(make_pane(minute, vwap=draw.uniform(9, 11)))
    spans[-1] = (spans[-1][0], NEVER)
    sessions = make_sessions(*spans) if known else None
    until = panes[-1].end
    as_of = [draw.randrange(panes[0].start - DAY, until) for _ in range(60)]
    as_of += [draw.choice(panes).end + 2_000_000 for _ in range(140)]
    labels = labelled(as_of, panes, rule, until, sessions=sessions)
    assert_same(as_of, labels, panes, rule, until, sessions)
    assert (labels.left == Left.LABELLED).sum() > 20


@pytest.mark.parametrize("horizon", ["1d", "2w", "1d-stocknet"])
@pytest.mark.parametrize("seed", range(2))
def test_daily_labels_equal_a_naive_walk(seed, horizon):
    draw = random.Random(seed)
    rule = label_rule("daily", horizon)
    days = sorted(draw.sample(range(60), 30))
    panes = [make_day(day, draw.uniform(9, 11), draw.uniform(9, 11)) for day in days]
    until = panes[-1].end
    as_of = [draw.randrange(61 * DAY) for _ in range(100)] + [pane.start for pane in panes]
    labels = labelled(as_of, panes, rule, until)
    assert_same(as_of, labels, panes, rule, until)
    assert (labels.left == Left.LABELLED).sum() > 20


def test_entry_is_never_before_as_of():
    panes = [make_pane(m) for m in range(100)]
    as_of = np.arange(0, 60 * MINUTE_US, 7_000_000)
    labels = labelled(as_of, panes, INTRADAY, 100 * MINUTE_US)
    assert (labels.entry_us - MINUTE_US >= as_of).all()
    assert (labels.exit_us - labels.entry_us == INTRADAY.horizon_us).all()


def test_row_at_a_panes_close_never_trades_in_that_pane():
    panes = [make_pane(0, 10.0), make_pane(1, 20.0), make_pane(2, 30.0), make_pane(32, 45.0)]
    late = 60 * 1_000_000 + 2_000_000  # the first pane's end and the lateness
    labels = labelled([late], panes, INTRADAY, 100 * MINUTE_US)
    assert labels.forward_return[0] == 45.0 / 30.0 - 1.0


def test_pane_without_volume_trades_at_its_close():
    panes = [make_pane(0, 10.0, volume=0.0), make_pane(30, 11.0, volume=0.0)]
    labels = labelled([-INTRADAY.latency_us], panes, INTRADAY, 100 * MINUTE_US)
    assert labels.forward_return[0] == pytest.approx(0.1)


def test_quoted_pane_trades_at_its_mid_and_not_at_the_bid_or_ask_it_bounced_to():
    panes = [make_pane(1, vwap=10.1), make_pane(31, vwap=9.9), make_pane(61, vwap=9.9)]
    mids = [10.0, 10.0, np.nan]
    labels = labelled([0, 30 * MINUTE_US], panes, INTRADAY, 100 * MINUTE_US, mids=mids)
    assert list(labels.forward_return) == [0.0, 9.9 / 10.0 - 1.0]


def test_latency_decides_between_two_panes():
    panes = [make_pane(m, float(10 + m)) for m in range(40)]
    as_of = np.array([MINUTE_US - 1_000_000, MINUTE_US - 999_999])
    labels = labelled(as_of, panes, INTRADAY, 100 * MINUTE_US)
    assert list(labels.entry_us) == [2 * MINUTE_US, 3 * MINUTE_US]
    slower = replace(INTRADAY, latency_us=2 * MINUTE_US)
    assert labelled(as_of, panes, slower, 100 * MINUTE_US).entry_us[0] == 4 * MINUTE_US


def test_round_the_clock_a_horizon_crosses_midnight():
    """Sessions that touch are one; with a minute between them a row before it has no label."""
    panes = [make_pane(m) for m in range(1500)]
    opens = np.array([0, DAY])
    touching = Sessions(opens, opens + DAY, np.array([2 * DAY, 2 * DAY]))
    as_of = [(1440 - 20) * MINUTE_US, (1440 - 32) * MINUTE_US]
    until = 1500 * MINUTE_US
    assert list(labelled(as_of, panes, INTRADAY, until, sessions=touching).left) == [0, 0]
    apart = make_sessions((0, DAY - MINUTE_US), (DAY, 2 * DAY))
    left = labelled(as_of, panes, INTRADAY, until, sessions=apart).left
    assert list(left) == [Left.CROSSES_CLOSE, Left.CROSSES_CLOSE]
    assert labelled([(1440 - 33) * MINUTE_US], panes, INTRADAY, until, sessions=apart).left[0] == 0


def test_pane_that_a_close_cuts_is_not_traded_in():
    panes = [make_pane(m) for m in range(60)]
    sessions = make_sessions((0, 40 * MINUTE_US + 1), (50 * MINUTE_US, NEVER))
    path = price_path(Tape(panes, sessions=sessions), INTRADAY)
    assert path.start_us[39:42].tolist() == [39 * MINUTE_US, 50 * MINUTE_US, 51 * MINUTE_US]


def test_row_that_finds_no_exit_before_the_close_is_matured_at_the_close():
    panes, sessions = [make_pane(m) for m in range(10)], make_sessions((0, 41 * MINUTE_US))
    for until, expected in ((40, Left.UNMATURED), (42, Left.NO_EXIT)):
        left = labelled([8 * MINUTE_US], panes, INTRADAY, until * MINUTE_US, sessions=sessions).left
        assert left[0] == expected


def test_published_protocol_enters_before_as_of_and_says_so():
    rule = label_rule("daily", "1d-stocknet")
    panes = [make_day(1, 10.0, 11.0), make_day(2, 12.0, 13.2)]
    labels = labelled([panes[0].end, panes[0].end + 1], panes, rule, 9 * DAY)
    assert list(labels.entry_us) == [panes[0].end] * 2
    assert list(labels.forward_return) == [13.2 / 11.0 - 1.0] * 2
    assert [r.horizon for r in LABEL_RULES["daily"].values() if not r.tradable] == ["1d-stocknet"]


def test_model_of_a_protocol_that_nobody_could_trade_is_not_stored():
    of = policy(feature_set="daily", tape="bars")
    with pytest.raises(TrainingRefused, match="1d-stocknet: expected an entry after as_of"):
        retrain("", "none", of, seed=0, promote=False, actor="test", horizon="1d-stocknet")


def test_symbol_that_stops_trading_has_no_exit_rather_than_a_late_one():
    panes = [make_day(day, 10.0) for day in (1, 2, 30, 31)]
    labels = labelled([0, 2 * DAY, 29 * DAY], panes, DAILY, 40 * DAY)
    assert list(labels.left) == [Left.LABELLED, Left.NO_EXIT, Left.LABELLED]


def test_symbol_without_panes_has_no_labels():
    labels = labelled([0, 10**12], [], INTRADAY, 10**12)
    assert list(labels.left) == [Left.NO_ENTRY, Left.UNMATURED]


def test_split_between_entry_and_exit_is_no_loss():
    panes = [make_day(1, 100.0), make_day(2, 50.0)]
    labels = labelled([0], panes, DAILY, 3 * DAY, actions=[Action(2 * DAY, "split", 2.0)])
    assert labels.forward_return[0] == 0.0


def test_dividend_between_entry_and_exit_is_paid_on_the_shares_then_held():
    panes = [make_day(1, 100.0), make_day(2, 48.0)]
    actions = [Action(2 * DAY + 1, "dividend", 3.0), Action(2 * DAY, "split", 2.0)]
    labels = labelled([0], panes, DAILY, 3 * DAY, actions=actions)
    assert labels.forward_return[0] == pytest.approx((2 * 48.0 + 2 * 3.0) / 100.0 - 1.0)


def test_split_on_a_panes_border_lies_between_it_and_the_next():
    panes = [make_pane(0, 100.0), *(make_pane(m, 50.0) for m in range(1, 40))]
    action = Action(MINUTE_US, "split", 2.0)
    as_of = np.array([0, MINUTE_US]) - INTRADAY.latency_us
    labels = labelled(as_of, panes, INTRADAY, 100 * MINUTE_US, actions=[action])
    assert list(labels.forward_return) == [0.0, 0.0]


def test_actions_outside_the_holding_change_nothing():
    panes = [make_day(1, 100.0), make_day(2, 101.0)]
    actions = [Action(DAY, "split", 2.0), Action(3 * DAY, "split", 2.0)]
    labels = labelled([0], panes, DAILY, 3 * DAY, actions=actions)
    assert labels.forward_return[0] == pytest.approx(0.01)


def test_adjusted_closes_stand_in_for_actions():
    panes = [make_day(1, 100.0, 100.0, adj_close=50.0), make_day(2, 51.0, 51.0, adj_close=51.0)]
    labels = labelled([0], panes, DAILY, 3 * DAY, actions=[Action(2 * DAY, "split", 2.0)])
    assert labels.forward_return[0] == pytest.approx(0.02)


def test_one_pane_without_adjusted_close_turns_to_the_actions():
    panes = [make_day(1, 100.0, 100.0, adj_close=50.0), make_day(2, 51.0)]
    labels = labelled([0], panes, DAILY, 3 * DAY, actions=[Action(2 * DAY, "split", 2.0)])
    assert labels.forward_return[0] == pytest.approx(0.02)


def test_class_needs_more_than_volatility_and_cost():
    volatility = np.array([0.01, 0.01, 0.01, 0.0, 0.0])
    returns = np.array([0.0051, 0.005, -0.0051, 0.0003, -0.0001])
    assert list(classes(returns, volatility, INTRADAY)) == [2, 1, 0, 2, 1]


def test_class_of_a_cheap_share_needs_its_own_round_trip():
    """Half a tick of a share of 5 is 10 bp, twice; one of 500 costs the least, 1 bp a side."""
    cost = INTRADAY.costs.round_trip(np.array([5.0, 500.0, np.nan]))
    assert cost == pytest.approx([2e-3, 2e-4, 2e-4])
    assert list(classes(np.full(3, 1e-3), np.full(3, 1e-4), INTRADAY, cost)) == [1, 2, 2]


def test_unknown_horizon_or_feature_set_is_refused_with_those_there_are():
    with pytest.raises(Refused, match=r"one of 30m, .* for feature set intraday, got '3h'"):
        label_rule("intraday", "3h")
    with pytest.raises(Refused, match="expected one of intraday, daily, got 'weekly'"):
        label_rule("weekly")


def test_every_horizon_is_in_the_docs():
    table = Path("docs/labels.md").read_text(encoding="utf-8")
    for rules in LABEL_RULES.values():
        assert all(f"`{horizon}`" in table for horizon in rules)
