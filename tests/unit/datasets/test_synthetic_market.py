"""The synthetic market: what is planted is there, and nothing else."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from models.sentiment.lexicon import Lexicon
from stream.datasets.synthetic import MINUTE, SyntheticDataset, generate
from stream.events import NewsArticle, Tick, decode

SMALL = {"n_symbols": 3, "n_sessions": 2, "trades_per_minute": 1.0}


def minute_rows(dataset: SyntheticDataset) -> tuple[npt.NDArray[np.generic], ...]:
    """Each minute of each symbol: as_of, entry at the next trade, exit 30 minutes on."""
    columns = []
    for symbol, path in dataset.paths.items():
        at = np.arange(path.trade_us[0], path.trade_us[-1] - 32 * MINUTE, MINUTE)
        entry = np.searchsorted(path.trade_us, at + 1)
        exit_ = np.searchsorted(path.trade_us, path.trade_us[entry] + 30 * MINUTE)
        held = path.trade_us[exit_] - path.trade_us[entry]
        kept = (path.trade_us[entry] - at < 3 * MINUTE) & (held < 33 * MINUTE)
        entry, exit_ = entry[kept], exit_[kept]
        moved = np.log(path.price[exit_] / path.price[entry])
        names = np.full(len(entry), symbol)
        columns.append((names, at[kept], path.trade_us[entry], path.trade_us[exit_], moved))
    return tuple(np.concatenate(column) for column in zip(*columns, strict=True))


def test_the_same_seed_gives_the_same_bytes_and_another_one_others() -> None:
    one, same, other = (list(generate(seed, 1.0, **SMALL).events()) for seed in (3, 3, 4))
    assert one == same
    assert one != other


def test_events_come_in_order_and_are_called_synthetic() -> None:
    dataset = generate(1, 1.0, **SMALL)
    found = list(dataset.events())
    assert all(a.at <= b.at for a, b in itertools.pairwise(found))
    assert dataset.span == (found[0].at, found[-1].at)
    assert {t.key.decode() for t in found if t.topic == "ticks"} == set(dataset.paths)
    articles = [decode(NewsArticle, t.value) for t in found if t.topic == "news"]
    assert {article.source for article in articles} == {"synthetic"}
    assert all(article.received_at > article.published_at for article in articles)  # type: ignore[operator]
    assert all(i.company.startswith("Synthetic ") for i in dataset.instruments)
    assert all(decode(Tick, t.value).price > 0 for t in found if t.topic == "ticks")


def test_volume_and_volatility_are_higher_at_the_ends_of_the_day() -> None:
    path = generate(2, 0.0, n_symbols=1, n_sessions=12).paths["SYNAA"]
    minute = (path.trade_us - path.trade_us[0] % (1440 * MINUTE)) % (1440 * MINUTE) // MINUTE
    ends = np.count_nonzero((minute < 30) | (minute >= 360))
    middle = np.count_nonzero((minute >= 165) & (minute < 225))
    assert ends > 1.4 * middle


def test_headlines_say_what_they_were_written_for() -> None:
    dataset = generate(5, 1.0, n_symbols=4, n_sessions=6)
    planted = {
        f"{symbol.lower()}-{serial}": polarity
        for symbol, path in dataset.paths.items()
        for serial, polarity in enumerate(path.polarity.tolist(), 1)
    }
    news = [decode(NewsArticle, t.value) for t in dataset.events() if t.topic == "news"]
    scores = Lexicon().probabilities([article.headline for article in news])
    polar = [
        np.sign(p.positive - p.negative) == planted[article.id]
        for article, p in zip(news, scores, strict=True)
        if planted[article.id]
    ]
    assert len(polar) > 100
    assert np.mean(polar) > 0.95


def test_an_effect_moves_prices_by_what_was_planted() -> None:
    found = [generate(seed, 1.0) for seed in range(3)]
    ics = [dataset.planted_ic(*minute_rows(dataset)) for dataset in found]  # type: ignore[arg-type]
    assert np.mean(ics) == pytest.approx(0.36, abs=0.08)
    symbols, as_of, entry, exit_, moved = minute_rows(found[0])
    expected = found[0].planted_return(symbols, as_of, entry, exit_)  # type: ignore[arg-type]
    slope = np.polyfit(expected, moved.astype(float), 1)[0]
    assert slope == pytest.approx(1.0, abs=0.2)


def test_without_an_effect_the_news_says_nothing() -> None:
    ics = []
    for seed in range(6):
        quiet = generate(seed, 0.0)
        as_if = replace(quiet, effect=1.0)
        ics.append(as_if.planted_ic(*minute_rows(quiet)))  # type: ignore[arg-type]
    assert abs(np.mean(ics)) <= 3 * np.std(ics, ddof=1) / np.sqrt(len(ics))
    assert quiet.planted_ic(*minute_rows(quiet)) == 0.0  # type: ignore[arg-type]


def test_past_returns_say_nothing_about_the_next_ones() -> None:
    correlations = []
    for path in generate(11, 0.0, n_sessions=8).paths.values():
        at = np.arange(path.trade_us[0], path.trade_us[-1], 5 * MINUTE)
        last = path.price[np.searchsorted(path.trade_us, at, side="right") - 1]
        moved = np.diff(np.log(last))
        moved = moved[np.abs(moved) > 0]
        correlations.append(np.corrcoef(np.sign(moved[:-1]), np.sign(moved[1:]))[0, 1])
    assert abs(np.mean(correlations)) < 0.03
