"""The whole training on synthetic markets: where news says nothing, nothing must be learnt.

Events go through the scorer's state in memory, as a replay of the database would.
"""

import numpy as np
import pytest

from stream.datasets.synthetic import generate
from stream.events import SentimentScored, micros
from tests.factories import policy
from tests.history import stored_history
from training.evaluate import pearson
from training.replay import replay
from training.train import train_model

SECOND = 1_000_000
N_QUIET, N_LOUD = 20, 3
QUIET = {"n_symbols": 3, "n_sessions": 8, "trades_per_minute": 1.0}
LOUD = {"n_symbols": 10, "n_sessions": 8, "trades_per_minute": 1.0, "articles_per_session": 18.0}
POLICY = policy(news_waits_for_time=True)


def market(seed, effect, **size):
    """The events as stored, and each symbol's articles as (available, planted polarity)."""
    ((_, stored),) = stored_history(generate(seed, effect, **size))
    events, articles = list(stored), {}
    for one in events:
        if isinstance(one.event, SentimentScored):
            polarity = one.event.positive - one.event.negative
            side = float(np.sign(polarity)) if abs(polarity) > 0.2 else 0.0
            articles[one.event.symbol, micros(one.event.available_at)] = side
    return events, articles


def trained(seed, effect, **size):
    events, articles = market(seed, effect, **size)
    model = next(e.event.model for e in events if isinstance(e.event, SentimentScored))
    rows = replay([(0, events)], POLICY, model)
    return rows, articles, train_model(rows, seed=seed, accepted="planted", num_threads=1)


def at_articles(rows, articles, result):
    """The model's own information coefficient at fresh articles, and the planted effect's."""
    judged = rows.take(np.isin(rows.as_of_us, result.judged.as_of_us))
    news = judged.trigger == "news"
    planted = np.array(
        [
            articles[symbol, int(at)]
            for symbol, at in zip(judged.symbol[news], judged.as_of_us[news], strict=True)
        ]
    )
    outcome = judged.forward_return[news]
    return pearson(result.judged.score[news], outcome), pearson(planted, outcome)


def test_market_without_an_effect_teaches_nothing_over_twenty_seeds():
    ics, refused = [], 0
    for seed in range(N_QUIET):
        _, _, result = trained(seed, 0.0, **QUIET)
        ics.append(result.artifact.metrics["ic"])
        refused += not result.verdict.may_lead(short_history=True)
    error = np.std(ics, ddof=1) / np.sqrt(N_QUIET)
    assert abs(np.mean(ics)) <= 2 * error, ics
    assert refused >= 18, ics


def test_planted_effect_is_found_to_within_a_fifth_of_its_own_strength():
    found, planted = [], []
    for seed in range(N_LOUD):
        rows, articles, result = trained(seed, 2.0, **LOUD)
        assert result.verdict.says != "FAIL", result.verdict.reason
        ic, own = at_articles(rows, articles, result)
        found.append(ic)
        planted.append(own)
    assert np.mean(found) == pytest.approx(np.mean(planted), rel=0.2), (found, planted)
