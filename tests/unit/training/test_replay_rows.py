"""Replay: stored events become the rows that the scorer would have seen, and nothing else."""

from datetime import date

import msgspec
import numpy as np
import pytest

from stream.errors import Refused
from stream.events import (
    ClockTick,
    CorporateAction,
    Instrument,
    SentimentScored,
    Tick,
    moment,
)
from stream.features.vector import FEATURE_SETS
from stream.scoring.state import PartitionState
from tests.factories import policy
from training.label_rules import LABEL_RULES
from training.replay import replay
from training.stored import Stored

SECOND = 1_000_000
MINUTE = 60 * SECOND
START = 1_700_000_040 * SECOND
FEATURES = FEATURE_SETS["intraday"]
ANOTHER = "sentiment of another model"


def make_article(at, model="lexicon-1", symbol="AAA"):
    return SentimentScored(
        article_id=f"{model}-{at}", revision=1, status="published", symbol=symbol, source="wire",
        published_at=moment(at), available_at=moment(at), scored_at=moment(at), negative=0.0,
        neutral=0.4, positive=0.6, relevance=1.0, model=model, text_hash="x",
    )  # fmt: skip


def make_market(minutes=120, symbols=("AAA", "BBB"), seed=0):
    """Ticks every 20 s, a beat a minute; (event time, event) in the order of the tape."""
    draw = np.random.default_rng(seed)
    price = dict.fromkeys(symbols, 100.0)
    for step in range(minutes * 3):
        at = START + step * 20 * SECOND
        if step % 3 == 0:
            yield at, ClockTick(kind="beat", at=moment(at))
        for symbol in symbols:
            price[symbol] *= float(np.exp(draw.normal() * 0.0005))
            yield at, Tick(symbol=symbol, ts=moment(at), price=price[symbol], size=100.0)


def stored(events):
    return [Stored(event, offset, at) for offset, (at, event) in enumerate(events)]


def table_of(events, given=None, model="lexicon-1"):
    return replay([(0, stored(events))], given or policy(), model)


def test_rows_are_what_the_scorer_was_due():
    events = stored(make_market())
    state, due = PartitionState(0, policy()), []
    for event, offset, at in events:
        state.apply(event, offset, at, due)
    table = replay([(0, events)], policy(), None)
    served = {(one.symbol, one.as_of): one for one in due if one.warm}
    assert len(table) > 100
    for i in range(len(table)):
        one = served[table.symbol[i], int(table.as_of_us[i])]
        expected = [np.nan if value is None else value for value in one.vector]
        assert np.array_equal(table.x[i], expected, equal_nan=True)


def test_rows_are_ordered_and_entries_follow_as_of():
    table = table_of(make_market())
    assert (np.diff(table.as_of_us) >= 0).all()
    assert (table.entry_us - MINUTE >= table.as_of_us).all()
    assert (table.exit_us - table.entry_us == 30 * MINUTE).all()
    assert set(table.trigger) == {"pane"}
    assert table.entry_us.max() < table.exit_us.max() <= START + 120 * MINUTE


def test_partitions_together_give_the_rows_of_each():
    both = replay(
        [(p, stored(make_market(symbols=(s,), seed=p))) for p, s in enumerate(("AAA", "BBB"))],
        policy(),
        None,
    )
    alone = table_of(make_market(symbols=("AAA",), seed=0))
    assert np.array_equal(both.x[both.symbol == "AAA"], alone.x, equal_nan=True)
    assert set(both.symbol) == {"AAA", "BBB"}


def test_rows_without_label_and_warmth_are_counted():
    table = table_of(make_market(minutes=100, symbols=("AAA",)))
    # 100 panes, the last still open; 29 before warm-up; entry is two panes on and
    # exit 30 more, so the last 32 have none.
    assert table.counts["warming up"] == FEATURES.warmup_panes - 1
    assert table.counts["unmatured"] == 32
    assert len(table) == 99 - 29 - 32


def test_short_history_leaves_no_rows():
    table = table_of(make_market(minutes=20))
    assert len(table) == 0
    assert table.x.shape == (0, len(FEATURES.names))


def test_no_events_leave_no_rows():
    assert len(replay([], policy(), None)) == 0


def test_news_makes_rows_and_another_models_scores_do_not():
    market = list(make_market(symbols=("AAA",)))
    at = START + 60 * MINUTE + SECOND
    k = next(i for i, (when, _) in enumerate(market) if when > at)
    news = [(at, make_article(at)), (at, make_article(at, model="other-1"))]
    table = table_of([*market[:k], *news, *market[k:]])
    assert list(table.trigger).count("news") == 1
    assert table.counts["sentiment of another model"] == 1
    assert table.as_of_us[table.trigger == "news"][0] == at


def test_a_foreign_score_or_retraction_takes_back_what_its_article_said():
    market = list(make_market(symbols=("AAA",)))
    at = START + 60 * MINUTE + SECOND
    k = next(i for i, (when, _) in enumerate(market) if when > at)
    one = make_article(at)

    def revised(revision, **changes):
        then = at + revision * SECOND
        times = {"available_at": moment(then), "scored_at": moment(then)}
        return then, msgspec.structs.replace(one, revision=revision, **times, **changes)

    foreign = {"model": "none:language", "status": "corrected"}
    gone = {"model": "other-1", "status": "retracted"}
    count = FEATURES.names.index("news_count_1d")

    def after(*revisions):
        table = table_of([*market[:k], (at, one), *revisions, *market[k:]])
        rows = table.x[(table.trigger == "pane") & (table.as_of_us > at + MINUTE), count]
        assert len(set(rows)) == 1
        return rows[0], list(table.trigger).count("news"), table.counts.get(ANOTHER, 0)

    n_items, n_rows, n_foreign = after()
    assert (n_items, n_rows) == (1.0, 1)
    assert n_foreign == 0
    n_items, n_rows, n_foreign = after(revised(2, **foreign))
    assert (n_items, n_rows) == (0.0, 1)
    assert n_foreign == 1
    n_items, n_rows, n_foreign = after(revised(2, **gone))
    assert (n_items, n_rows) == (0.0, 2)  # a retraction is news, whoever scored the article
    assert n_foreign == 0
    assert after(revised(2, **foreign), revised(3, status="corrected"))[:2] == (1.0, 2)


def test_news_on_a_stale_price_is_counted():
    market = list(make_market(symbols=("AAA",)))
    at = market[-1][0] + 600 * SECOND
    quiet = [*market, (at, ClockTick(kind="beat", at=moment(at))), (at, make_article(at))]
    assert table_of(quiet).counts["stale prices"] >= 1


def test_tick_scoring_adds_no_rows():
    every = table_of(make_market(), policy(score_every_tick=True))
    assert len(every) == len(table_of(make_market()))


def test_rejected_event_is_counted_and_the_next_one_read():
    market = list(make_market(symbols=("AAA",)))
    ahead = Tick(symbol="AAA", ts=moment(START + 10**12), price=1.0, size=1.0)
    table = table_of([*market[:50], (market[50][0], ahead), *market[50:]])
    assert table.counts["rejected events"] == 1
    assert len(table) == len(table_of(market))


def test_split_known_in_the_history_is_in_the_labels():
    market = list(make_market(symbols=("AAA",), minutes=180))
    ex_day = date(2023, 11, 15)
    action = CorporateAction(
        symbol="AAA", kind="split", ex_date=ex_day, value=2.0, announced_at=moment(START)
    )
    instrument = Instrument(symbol="AAA", calendar="24/7")
    ex_at = 1_700_006_400 * SECOND
    assert START < ex_at < START + 180 * MINUTE
    halved = [
        (at, Tick(symbol=e.symbol, ts=e.ts, price=e.price / 2, size=e.size * 2))
        if type(e) is Tick and at >= ex_at
        else (at, e)
        for at, e in market
    ]
    plain = table_of([(START, instrument), *market])
    split = table_of([(START, instrument), (START, action), *halved])
    assert split.forward_return == pytest.approx(plain.forward_return, abs=1e-12)


def with_session(market, opens, closes):
    """The market with a session of XNYS stated in it; minutes after START."""
    session = date(2023, 11, 14)
    stated = [
        (START + minute * MINUTE, ClockTick(
            kind=kind, at=moment(START + minute * MINUTE), calendar="XNYS", session=session
        ))
        for kind, minute in (("open", opens), ("close", closes))
    ]  # fmt: skip
    return sorted([*market, *stated], key=lambda timed: timed[0])


def test_rows_whose_horizon_crosses_the_stated_close_are_counted():
    plain = table_of(make_market())
    table = table_of(with_session(make_market(), 0, 100))
    crossing = plain.exit_us > START + 100 * MINUTE
    assert 0 < crossing.sum() < len(plain)
    assert np.array_equal(table.as_of_us, plain.as_of_us[~crossing])
    assert table.counts["crosses close"] == 2 * 30
    assert "crosses close" not in plain.counts


def test_panes_outside_the_stated_session_are_not_traded_in():
    table = table_of(with_session(make_market(), 60, 118))
    assert table.entry_us.min() == START + 61 * MINUTE
    assert table.counts["no entry"] > 0


def test_quotes_that_came_with_trades_make_the_price():
    """Trades bounce between bid and ask by 1 %, the mid stands: no row earns the bounce."""
    bounced, draw = [], np.random.default_rng(0)
    for at, event in make_market(symbols=("AAA",)):
        if type(event) is Tick:
            price = float(draw.choice([99.5, 100.5]))
            event = msgspec.structs.replace(event, price=price, bid=99.5, ask=100.5)
        bounced.append((at, event))
    unquoted = [
        (at, msgspec.structs.replace(e, bid=None, ask=None) if type(e) is Tick else e)
        for at, e in bounced
    ]
    assert set(table_of(bounced).forward_return) == {0.0}
    assert np.abs(table_of(unquoted).forward_return).max() > 1e-4


def test_target_is_in_units_of_volatility_or_the_least_cost_and_clipped():
    table = table_of(make_market())
    cost = 2 * np.maximum(1e-4, 0.005 / 100.0)
    assert table.round_trip == pytest.approx(cost, rel=0.1)
    unit = np.maximum(table.volatility, 2e-4)
    assert np.array_equal(table.target, np.clip(table.forward_return / unit, -4.0, 4.0))
    assert np.abs(table_of(make_market(seed=2)).target).max() <= 4.0


def test_relative_target_is_against_the_symbols_that_entered_with_it():
    names = tuple("ABCDEF")
    table = table_of(make_market(symbols=names))
    assert not np.isnan(table.market_return).any()
    for moment_us in np.unique(table.entry_us)[::10]:
        own = table.take((table.entry_us == moment_us) & (table.trigger == "pane"))
        assert set(own.symbol) == set(names)
        assert own.market_return == pytest.approx(own.forward_return.mean())
        relative = (own.forward_return - own.market_return) / own.unit
        assert own.relative_target == pytest.approx(np.clip(relative, -4.0, 4.0))
    assert np.isnan(table_of(make_market()).relative_target).all()


def test_market_of_two_partitions_holds_the_symbols_of_both():
    names = ("A", "B", "C"), ("D", "E", "F")
    events = [list(make_market(symbols=each, seed=p)) for p, each in enumerate(names)]
    both = replay([(p, stored(each)) for p, each in enumerate(events)], policy(), None)
    assert not np.isnan(both.market_return).any()
    assert np.isnan(table_of(events[0]).market_return).all()


def test_barrier_ends_labels_sooner_and_never_later():
    plain, table = (
        replay([(0, stored(make_market()))], policy(), None, horizon=horizon)
        for horizon in ("30m", "30m-barrier")
    )
    assert np.array_equal(plain.as_of_us, table.as_of_us)
    assert (table.exit_us <= plain.exit_us).all()
    sooner = table.exit_us < plain.exit_us
    assert 0.2 < sooner.mean() < 0.95
    assert (np.abs(table.forward_return[sooner]) >= table.unit[sooner]).all()
    assert (table.y[sooner] != 1).all()


def test_unknown_horizon_is_refused():
    with pytest.raises(Refused, match="horizon: expected one of 30m"):
        replay([], policy(), None, horizon="3w")


def test_volatility_is_scaled_to_the_horizon():
    table = table_of(make_market())
    hourly = table.x[:, FEATURES.names.index("volatility_realised_1h")]
    assert table.volatility == pytest.approx(hourly * np.sqrt(0.5))


def test_every_feature_set_has_label_rules_that_name_its_volatility():
    for name, features in FEATURE_SETS.items():
        for rule in LABEL_RULES[name].values():
            assert rule.volatility in features.names


def test_rows_do_not_hang_on_the_order_of_partitions_or_symbols():
    one, other = (stored(make_market(symbols=(name,))) for name in ("AAA", "BBB"))
    table = replay([(0, one), (1, other)], policy(), None)
    swapped = replay([(1, other), (0, one)], policy(), None)
    assert len(table) > 100
    for column in ("x", "symbol", "as_of_us", "forward_return"):
        expected, got = getattr(table, column), getattr(swapped, column)
        assert np.array_equal(expected, got, equal_nan=column == "x")


def test_symbol_with_three_bars_makes_no_rows_and_harms_no_other():
    """Three minutes of trades, on another partition than its neighbour's hours."""
    lone = stored([(at, each) for at, each in make_market(3, ("CCC",))])
    table = replay([(0, stored(make_market())), (1, lone)], policy(), None)
    alone = table_of(make_market())
    assert set(table.symbol) == {"AAA", "BBB"}
    assert np.array_equal(table.x, alone.x, equal_nan=True)
    assert table.counts["warming up"] == alone.counts["warming up"] + 2


def test_hole_in_the_prices_leaves_out_the_rows_that_needed_it():
    """Ninety minutes are missing: no label reaches over them."""
    hole = (START + 60 * MINUTE, START + 150 * MINUTE)
    events = [(at, each) for at, each in make_market(240)
              if not (isinstance(each, Tick) and hole[0] <= at < hole[1])]  # fmt: skip
    table = table_of(events)
    assert table.counts["no exit"] > 0
    assert ((table.exit_us <= hole[0] + MINUTE) | (table.entry_us > hole[1])).all()
    assert (table.exit_us - table.entry_us <= 40 * MINUTE).all()
    assert not np.isnan(table.forward_return).any()


def test_label_that_has_not_matured_is_no_row():
    table = table_of(make_market())
    last = START + 120 * MINUTE
    assert table.counts["unmatured"] > 0
    assert table.exit_us.max() <= last
