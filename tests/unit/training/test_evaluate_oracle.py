"""Metrics against scikit-learn and scipy."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as oracle

from training.evaluate import (
    Judged,
    blocks,
    brier,
    calibration_error,
    direction_losses,
    log_losses,
    macro_f1,
    matthews,
    metrics,
    pearson,
    ranks,
)

DAY = 86_400_000_000


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
    judged = Judged(
        symbol=np.full(4, "AAA"),
        as_of_us=np.arange(4),
        y=y,
        p=np.full((4, 3), 1 / 3),
        baseline=np.full((4, 3), 1 / 3),
        expected=np.zeros(4),
        forward_return=np.zeros(4),
    )
    assert metrics(judged)["ic"] is None


def test_blocks_cover_every_row_once_and_never_cross_a_border():
    as_of = np.sort(np.random.default_rng(0).integers(0, 5 * DAY, 200))
    found = blocks(as_of, DAY)
    assert list(np.concatenate(found)) == list(range(200))
    assert all(len({int(at) // DAY for at in as_of[each]}) == 1 for each in found)
    assert blocks(as_of[:0], DAY) == []
