"""The market's features are the same however partitions race, at any restart, and in training."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time
from functools import cache

import pytest

from stream.clock.calendar import sessions
from stream.datasets.dataset import Dataset, Timed
from stream.datasets.synthetic import generate
from stream.events import Bar, Instrument, NewsArticle, encode, micros, moment
from stream.features.panes import DAY_US, HOUR_US
from stream.features.vector import FEATURE_SETS
from stream.scoring.market_dialogue import MarketDialogue
from tests.factories import policy
from tests.market_run import Replayed
from training.replay import replay
from training.rows import Samples

TONES = ("profit surges at", "loss and fraud probe at", "new office for")
DAYS = date(2024, 1, 2), date(2024, 4, 19)
NOON_US = 16 * HOUR_US  # 11:00 in New York: an hour and a half of each session
SYMBOLS = ("AAPL", "MSFT", "XOM", "JPM", "PFE", "KO", "BA", "NVDA", "T", "F")
OWN = {
    n: len([f for g in each.groups[:-5] for f in g.features]) for n, each in FEATURE_SETS.items()
}


def bars() -> Iterator[Timed]:
    """Daily bars that share a market, a symbol missing on some days; and some news."""
    rng = random.Random(4)
    prices = dict.fromkeys(SYMBOLS, 100.0)
    for n, session in enumerate(sessions("XNYS", *DAYS)):
        for i, symbol in enumerate(SYMBOLS):
            if rng.random() < 0.3:
                at = session.close - (1 + i) * 60_000_000
                news = NewsArticle(
                    id=f"{symbol}-{n}", source="wire", published_at=moment(at),
                    received_at=moment(at), headline=f"{rng.choice(TONES)} {n} {symbol}",
                    symbols=(symbol,),
                )  # fmt: skip
                yield Timed("news", at, news.id.encode(), encode(news))
        market = rng.gauss(0.0, 0.01)
        for i, symbol in enumerate(SYMBOLS):
            opened = prices[symbol]
            close = prices[symbol] = opened * (1.0 + market * (0.5 + i / 5) + rng.gauss(0, 0.01))
            if rng.random() < 0.05:
                continue
            bar = Bar(
                symbol=symbol, start=moment(session.open), end=moment(session.close),
                open=opened, high=max(opened, close), low=min(opened, close), close=close,
                volume=1e5 * rng.random(),
            )  # fmt: skip
            yield Timed("bars", session.close, symbol.encode(), encode(bar))


def daily() -> Dataset:
    first, last = (micros(datetime.combine(day, time(), UTC)) for day in DAYS)
    instruments = tuple(
        Instrument(symbol=symbol, sector=("Tech", "Energy")[i % 2])
        for i, symbol in enumerate(SYMBOLS)
    )
    return Dataset("bars", "daily", "bars", (first, last), instruments, bars)


@cache
def dataset(name: str) -> Dataset:
    if name == "daily":
        return daily()
    whole = generate(3, 1.0, n_symbols=6, n_sessions=2, trades_per_minute=0.2)
    return replace(whole, events=lambda: (e for e in whole.events() if e.at % DAY_US < NOON_US))


def run(name: str, n_partitions: int, seed: int, restart_every: int | None = None) -> Replayed:
    tape = dataset(name).tape
    own = policy(feature_set=name, tape=tape, news_waits_for_time=True)
    return Replayed(dataset(name), own, n_partitions, seed, restart_every=restart_every)


@cache
def first(name: str) -> Replayed:
    return run(name, 2, seed=0)


@pytest.mark.parametrize("name", ["intraday", "daily"])
def test_every_feature_against_the_market_takes_a_value(name: str) -> None:
    against = FEATURE_SETS[name].names[OWN[name] :]
    known = {
        n
        for features in first(name).features().values()
        for n in against
        if features[n] is not None
    }
    assert known == set(against)


@pytest.mark.parametrize("name", ["intraday", "daily"])
def test_however_partitions_race_the_features_are_the_same(name: str) -> None:
    features = first(name).features()
    assert len(features) > 400
    assert run(name, 2, seed=1).features() == features


@pytest.mark.parametrize("name", ["intraday", "daily"])
def test_any_number_of_partitions_gives_the_same_features_and_market_panes(name: str) -> None:
    whole = first(name)
    for n_partitions in (1, 4):
        other = run(name, n_partitions, seed=2)
        assert other.features() == whole.features()
        traded = [[p.end, p.benchmark, p.sectors, p.ranked] for p in other.panes if p.n_symbols]
        assert traded == [
            [p.end, p.benchmark, p.sectors, p.ranked] for p in whole.panes if p.n_symbols
        ]


@pytest.mark.parametrize("name", ["intraday", "daily"])
def test_steps_thrown_away_and_restored_give_the_same(name: str) -> None:
    assert run(name, 2, seed=3, restart_every=31).features() == first(name).features()


@pytest.mark.parametrize("name", ["intraday", "daily"])
def test_training_sees_the_features_that_were_served(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = {}
    add = Samples.add

    def note(self, due):
        if due.warm:  # training makes no other vector
            seen[due.symbol, due.trigger, due.trigger_ref, due.revision] = due.vector
        add(self, due)

    monkeypatch.setattr(Samples, "add", note)
    served = first(name)
    replay(served.stored(), served.policy, served.signals[-1].sentiment_models[0])
    features = served.features()
    warm = {key for key, reason in served.abstained().items() if not reason.startswith("warming")}
    assert seen.keys() == warm
    assert len(seen) > 100
    different = {key for key, vector in seen.items() if vector != tuple(features[key].values())}
    assert different == set()


def test_a_replay_that_does_not_wait_gives_other_features(monkeypatch: pytest.MonkeyPatch) -> None:
    """So the tests above would see a record that goes on without its MarketPane."""
    monkeypatch.setattr(MarketDialogue, "wait", lambda self, event_time: None)
    assert run("daily", 2, seed=1).features() != first("daily").features()
