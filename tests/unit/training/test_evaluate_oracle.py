"""Metrics against scikit-learn and scipy."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as oracle

from tests.unit.training.judgements import DAY, RULE, make_judged
from training.evaluate import (
    auc,
    brier,
    calibration_error,
    direction_losses,
    log_losses,
    macro_f1,
    matthews,
    pearson,
    ranks,
)
from training.judged import metrics, session_returns


@pytest.fixture(params=range(3))
def case(request):
    draw = np.random.default_rng(request.param)
    p = draw.dirichlet([1.0, 2.0, 1.5], 300)
    return p, draw.integers(0, 3, 300)


def test_log_loss_equals_scikit_learn(case):
    p, y = case
    assert log_losses(p, y).mean() == pytest.approx(oracle.log_loss(y, p, labels=[0, 1, 2]))


def test_macro_f1_and_mcc_equal_scikit_learn(case):
    p, y = case
    guess = p.argmax(axis=1)
    assert macro_f1(y, guess) == pytest.approx(oracle.f1_score(y, guess, average="macro"))
    assert matthews(y, guess) == pytest.approx(oracle.matthews_corrcoef(y, guess))


def test_brier_is_the_mean_squared_distance(case):
    p, y = case
    naive = np.mean([sum((p[i, k] - (y[i] == k)) ** 2 for k in range(3)) for i in range(len(y))])
    assert brier(p, y) == pytest.approx(naive)


def test_ranks_and_correlation_equal_scipy_with_ties(case):
    p, y = case
    a, b = np.round(p[:, 0], 1), y.astype(float)
    assert ranks(a) == pytest.approx(stats.rankdata(a) - 0.5 - 0.5)
    assert pearson(ranks(a), ranks(b)) == pytest.approx(stats.spearmanr(a, b).statistic)


def test_direction_loss_counts_only_rows_that_moved():
    p = np.array([[0.2, 0.2, 0.6], [0.2, 0.2, 0.6], [0.2, 0.2, 0.6]])
    losses = direction_losses(p, np.array([0, 1, 2]))
    assert losses == pytest.approx([-np.log(0.25), 0.0, -np.log(0.75)])


def test_perfectly_confident_and_right_has_no_calibration_error():
    p = np.eye(3)[[0, 1, 2, 1]]
    assert calibration_error(p, np.array([0, 1, 2, 1])) == 0.0
    assert calibration_error(p, np.array([1, 2, 0, 0])) == 1.0


def test_constant_predictions_have_no_correlation_and_mcc():
    y = np.array([0, 1, 2, 1])
    assert np.isnan(pearson(np.ones(4), y.astype(float)))
    assert np.isnan(matthews(y, np.ones(4, dtype=int)))
    judged = make_judged(n=400)
    dull = replace(judged, p=np.full((400, 3), 1 / 3), expected=np.zeros(400))
    found = metrics(dull, RULE)
    assert [found[name] for name in ("ic", "mcc", "daily_ic_t", "confidence_accuracy")] == [
        None
    ] * 4


def test_area_under_the_roc_equals_scikit_learn_with_ties(case):
    p, y = case
    score = np.round(p[:, 2], 1)
    assert auc(score, y == 2) == pytest.approx(oracle.roc_auc_score(y == 2, score))
    assert np.isnan(auc(score, y > 5))


def test_printed_metrics_equal_scikit_learn():
    judged = make_judged(n=2_000)
    found, outcome = metrics(judged, RULE), 1e4 * judged.forward_return
    assert found["auc"] == pytest.approx(
        oracle.roc_auc_score(judged.y, judged.p, multi_class="ovr")
    )
    assert found["mse"] == pytest.approx(oracle.mean_squared_error(outcome, judged.expected))
    assert found["mae"] == pytest.approx(oracle.mean_absolute_error(outcome, judged.expected))
    assert found["rmse"] == pytest.approx(found["mse"] ** 0.5)
    assert found["r2"] == pytest.approx(oracle.r2_score(outcome, judged.expected))
    moved = judged.y != 1
    assert found["accuracy_direction"] == pytest.approx(
        oracle.accuracy_score(judged.y[moved] == 2, judged.score[moved] > 0)
    )


def test_signal_weighted_return_is_spread_over_the_rows_of_a_session():
    judged = make_judged(n=400, n_days=2)
    returns = session_returns(judged)
    first = judged.entry_us < DAY
    score = judged.score[first]
    pairs = zip(score, judged.forward_return[first], strict=True)
    naive = sum(s * r - abs(s) * 2e-4 for s, r in pairs)
    assert returns[0] == pytest.approx(naive / np.abs(score).sum())
    assert len(returns) == 2
