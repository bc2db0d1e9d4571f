"""Articles from replayed history: each with what its own score said, or counted."""

import msgspec
import numpy as np
import pytest

from stream.events import SentimentScored
from tests.unit.training_study.daily_market import daily_policy, make_days, stored
from training.errors import TrainingRefused
from training.label_rules import label_rule
from training.replay import sampled
from training.study.articles import Scores, articles

RULE = label_rule("daily", "1d")


def replayed(events):
    scores = Scores()
    found = sampled([(0, stored(events))], daily_policy(), "lexicon-1", noted=scores.note)
    return found, scores


def test_each_row_has_the_score_of_its_own_article_and_retractions_are_counted():
    events = list(make_days(70, n_symbols=5))
    said = {each.article_id: each for _, each in events if isinstance(each, SentimentScored)}
    at, taken_back = next(
        (at, each) for at, each in reversed(events[:-20]) if isinstance(each, SentimentScored)
    )
    gone = msgspec.structs.replace(taken_back, revision=2, status="retracted")
    events.insert(next(i for i, (t, _) in enumerate(events) if t > at), (at, gone))
    found = articles(*replayed(events), RULE)
    assert len(found) > 30
    assert found.rows.counts["retracted"] == 1
    assert set(found.rows.trigger) == {"news"}
    for i, article_id in enumerate(found.article_id.tolist()):
        score = said[article_id]
        assert (score.symbol, score.source) == (found.rows.symbol[i], found.source[i])
        assert found.score[i] == score.positive - score.negative
        assert found.confidence[i] == max(score.positive, score.negative)
        assert found.text_hash[i] == score.text_hash
    mean = np.array([found.rows.market_return[found.rows.entry_us == at].std() for at in
                     np.unique(found.rows.entry_us)])  # fmt: skip
    assert mean == pytest.approx(0.0)


def test_under_five_symbols_nothing_is_relative_to_a_market():
    with pytest.raises(TrainingRefused, match=r"no return of the market.*5 symbols or more"):
        articles(*replayed(make_days(70, n_symbols=4)), RULE)


def test_without_news_it_is_said():
    silent = [
        each for each in make_days(70, n_symbols=5) if not isinstance(each[1], SentimentScored)
    ]
    with pytest.raises(TrainingRefused, match="expected articles with a reaction at 1d, got none"):
        articles(*replayed(silent), RULE)
