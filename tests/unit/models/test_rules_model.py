"""The rules model: strong fresh news acts, everything else is neutral."""

import pytest

from models.rules import RulesModel

NAMES = ["return_log_1h", "sentiment_decay_30m", "volatility_realised_1h", "other"]


def score(sentiment=None, step=None, sigma=0.001, names=NAMES):
    vector = {
        "return_log_1h": step,
        "sentiment_decay_30m": sentiment,
        "volatility_realised_1h": sigma,
    }
    return RulesModel("intraday", 1, names).score([vector.get(name) for name in names])


def test_no_data_is_neutral():
    result = score(sigma=None)
    assert result.neutral > max(result.bearish, result.bullish)
    assert result.bearish == result.bullish


def test_strong_good_news_is_bullish_over_the_threshold():
    assert score(0.6).bullish > 0.65


def test_strong_bad_news_mirrors_good_news():
    assert score(-0.6).bearish == score(0.6).bullish


def test_weak_news_is_neutral():
    result = score(0.1)
    assert result.neutral > max(result.bearish, result.bullish)


@pytest.mark.parametrize("step", [1.0, -1.0, 1e9])
def test_momentum_alone_stays_neutral(step):
    result = score(None, step)
    assert result.neutral > max(result.bearish, result.bullish)


@pytest.mark.parametrize("news", [1e9, -1e9])
def test_flood_of_news_stays_finite(news):
    result = score(news)
    assert 0.99 < max(result.bullish, result.bearish) <= 1.0


def test_zero_volatility_counts_as_no_momentum():
    assert score(0.2, 0.01, 0.0) == score(0.2, None, None)


def test_feature_set_without_any_of_its_names_is_neutral():
    result = RulesModel("daily", 1, ["x"]).score([5.0])
    assert result.neutral > max(result.bearish, result.bullish)


def test_probabilities_sum_to_one_and_nothing_is_expected():
    result = score(0.3, 0.001)
    assert sum(result[:3]) == pytest.approx(1.0)
    assert result.expected_return_bps is None


def test_horizon_follows_the_feature_set():
    assert RulesModel("intraday", 1, NAMES).horizon == "30m"
    assert RulesModel("daily", 1, NAMES).horizon_s == 86_400.0


def test_both_feature_sets_have_what_the_rules_read():
    from stream.features.vector import FEATURE_SETS

    for each in FEATURE_SETS.values():
        vector = [1.0] * len(each.names)
        assert RulesModel(each.name, each.version, each.names).score(vector).bullish > 0.9
