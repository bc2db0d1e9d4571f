"""The whole training on synthetic markets: where news says nothing, nothing must be learnt.

Events go through the scorer's state in memory, as a replay of the database would.
"""

import numpy as np
import pytest

from models.sentiment.lexicon import Lexicon
from stream.clock.calendar import ticks_between
from stream.datasets.synthetic import generate
from stream.events import NewsArticle, SentimentScored, micros, moment
from stream.features.vector import FEATURE_SETS
from stream.scoring.policy import Policy
from training.evaluate import pearson
from training.replay import Stored, replay
from training.train import train_model

SECOND = 1_000_000
DAY = 86_400 * SECOND
LEXICON = Lexicon()
N_QUIET, N_LOUD = 20, 3
QUIET = {"n_symbols": 3, "n_sessions": 8, "trades_per_minute": 1.0}
LOUD = {"n_symbols": 10, "n_sessions": 8, "trades_per_minute": 1.0, "articles_per_session": 18.0}
POLICY = Policy(
    feature_set="intraday", feature_set_version=FEATURE_SETS["intraday"].version, tape="ticks",
    calendar="XNYS", lateness_us=2 * SECOND, max_ahead_us=60 * SECOND, feed_delay_s=60.0,
    scoring_delay_s=1.0, staleness_s=300.0, confidence=0.65, model_max_age_s=None,
    score_every_tick=False, require_instruments=False, rules_may_act=False,
)  # fmt: skip


def scored(article, at):
    p = LEXICON.probabilities([article.headline])[0]
    return SentimentScored(
        article_id=article.id, revision=1, status="published", symbol=article.symbols[0],
        source=article.source, published_at=article.published_at, available_at=moment(at),
        scored_at=moment(at), negative=p.negative, neutral=p.neutral, positive=p.positive,
        relevance=1.0, model=LEXICON.name, text_hash=article.id,
    )  # fmt: skip


def market(seed, effect, **size):
    """The events as stored, and each symbol's articles as (available, planted polarity)."""
    dataset = generate(seed, effect, **size)
    events, articles = [], {}
    for past in dataset.events():
        if isinstance(past.event, NewsArticle):
            at = past.available_us + SECOND
            score = scored(past.event, at)
            polarity = score.positive - score.negative
            side = float(np.sign(polarity)) if abs(polarity) > 0.2 else 0.0
            articles[score.symbol, at] = side
            events.append((at, score))
        else:
            events.append((past.available_us, past.event))
    first, last = dataset.span
    events += [(micros(t.at), t) for t in ticks_between(dataset.calendars, first - DAY, last)]
    events.sort(key=lambda item: (item[0], not isinstance(item[1], SentimentScored)))
    return [Stored(event, i, at) for i, (at, event) in enumerate(events)], articles


def trained(seed, effect, **size):
    events, articles = market(seed, effect, **size)
    rows = replay([(0, events)], POLICY, LEXICON.name)
    return rows, articles, train_model(rows, seed=seed, num_threads=1)


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
        refused += result.verdict.says == "FAIL"
    error = np.std(ics, ddof=1) / np.sqrt(N_QUIET)
    assert abs(np.mean(ics)) <= 2 * error, ics
    assert refused >= 18, ics


def test_planted_effect_is_found_to_within_a_fifth_of_its_own_strength():
    found, planted = [], []
    for seed in range(N_LOUD):
        rows, articles, result = trained(seed, 1.0, **LOUD)
        assert result.verdict.says != "FAIL", result.verdict.reason
        ic, own = at_articles(rows, articles, result)
        found.append(ic)
        planted.append(own)
    assert np.mean(found) == pytest.approx(np.mean(planted), rel=0.2), (found, planted)
