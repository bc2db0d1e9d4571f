"""What sentiment adds: found where it was planted, denied where it was not."""

from dataclasses import replace
from itertools import pairwise

import numpy as np

from tests.unit.training.judgements import RULE, make_judged
from tests.unit.training.test_train_model import make_table
from training.ablation import BOTH, PRICES, SENTIMENT, SHUFFLED, ablation, others, priced
from training.skill import sessions
from training.train import train_model


def test_planted_sentiment_adds_and_the_sentence_says_so():
    news = {"news", "never"}
    planted = train_model(make_table(), seed=0, num_threads=1, news_names=news, ablate=True)
    found = planted.ablation
    assert [line.name for line in found.lines] == [BOTH, PRICES, SENTIMENT, SHUFFLED]
    both, prices, sentiment, shuffled = (line.gained.mean for line in found.lines)
    assert min(both, sentiment) > 0.05 > max(prices, shuffled)
    assert found.adds.low > 0.0
    assert found.adds_to_shuffled.low > 0.0
    assert found.sentence.startswith("Sentiment adds 0.")
    assert "over prices alone" in found.sentence
    assert "over the same sentiment on other days" in found.sentence
    assert planted.fits == 12


def compared(prices, shuffled):
    """Both know a little; the others as much as is given."""
    both = make_judged()
    given = {BOTH: both, PRICES: prices, SENTIMENT: both, SHUFFLED: shuffled}
    return ablation(given, RULE, seed=0)


def test_sentiment_that_adds_nothing_is_not_said_to_help():
    both, noise = make_judged(), np.random.default_rng(2).normal(size=12_000) * 0.004
    same = replace(both, p=both.p + np.outer(noise, [-0.5, 0.0, 0.5]))
    found = compared(same, same)
    assert found.lines[0].gained.low > 0.0
    assert found.adds.low < 0.0 < found.adds.high
    assert found.sentence.startswith("Sentiment adds nothing sure over prices alone")
    assert "includes zero" in found.sentence


def test_sentiment_that_harms_is_said_to_take():
    sure = make_judged()
    better = replace(sure, p=0.9 * sure.p + 0.1 * np.eye(3)[sure.y])
    found = compared(better, sure)
    assert found.adds.high < 0.0
    assert found.sentence.startswith("Sentiment takes -0.")
    assert compared(better, sure) == found


def test_one_session_tells_nothing():
    judged = make_judged(n_days=1)
    found = ablation(dict.fromkeys((BOTH, PRICES, SENTIMENT, SHUFFLED), judged), RULE, seed=0)
    assert "cannot be told: too few sessions" in found.sentence


def test_prices_alone_lose_only_what_news_changes():
    rows = make_table()
    prices = priced(rows, {"news", "never"})
    assert prices.feature_names == ("noise", "constant")
    assert np.array_equal(prices.x, rows.x[:, 1:3])
    assert priced(rows, ()) is None
    assert priced(rows, {"constant", "never"}) is None


def test_shuffled_sentiment_is_the_symbols_own_in_whole_days():
    rows = make_table()
    shuffled = others(rows, {"noise"}, seed=0)[SHUFFLED]
    assert np.array_equal(shuffled.x[:, ::2], rows.x[:, ::2], equal_nan=True)
    assert np.mean(shuffled.x[:, 1] != rows.x[:, 1]) > 0.9
    again, other = (others(rows, {"noise"}, seed)[SHUFFLED].x[:, 1] for seed in (0, 1))
    assert np.array_equal(again, shuffled.x[:, 1])
    assert not np.array_equal(other, again)
    for symbol in ("AAA", "BBB"):
        own = np.flatnonzero(rows.symbol == symbol)
        here, there = rows.x[own, 1], shuffled.x[own, 1]
        assert np.array_equal(np.sort(there), np.sort(here))
        follows = dict(pairwise(here))
        together = np.mean([follows.get(a) == b for a, b in pairwise(there)])
        assert together > 1.0 - 1.1 * len(sessions(rows.entry_us[own])) / len(own)
