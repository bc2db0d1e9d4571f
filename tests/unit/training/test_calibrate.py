"""Calibration: from trust to climatology, the least loss, and a threshold that pays."""

import numpy as np
import pytest

from models.scorer import calibrated
from training.calibrate import (
    DEFAULT_THRESHOLD,
    MAX_SCALE,
    choose_threshold,
    fit_scale,
    fit_slope,
    shrink,
    softmax,
)
from training.evaluate import log_losses

PRIOR = np.array([0.25, 0.5, 0.25])


def make_case(told=1.0, n=5_000, seed=0):
    """Raw scores that tell `told` times the truth."""
    draw = np.random.default_rng(seed)
    truth = np.log(PRIOR) + np.outer(draw.normal(size=n), [-1.0, 0.0, 1.0])
    y = (draw.random(n)[:, None] > softmax(truth).cumsum(axis=1)).sum(axis=1)
    return np.log(PRIOR) + told * (truth - np.log(PRIOR)), y


@pytest.mark.parametrize(("told", "scale"), [(1.0, 1.0), (2.0, 0.5), (0.8, 1.25)])
def test_scale_undoes_over_and_underconfidence(told, scale):
    raw, y = make_case(told)
    assert fit_scale(raw, y, PRIOR) == pytest.approx(scale, rel=0.1)


def test_scale_of_noise_goes_to_zero_and_gives_the_prior():
    raw, _ = make_case()
    _, y = make_case(seed=1)
    scale = fit_scale(raw, y, PRIOR)
    assert scale < 0.05
    assert shrink(raw, PRIOR, 0.0) == pytest.approx(np.tile(PRIOR, (len(raw), 1)))


def test_scale_is_the_least_of_a_fine_grid():
    raw, y = make_case(1.7, n=500)
    grid = np.linspace(0, MAX_SCALE, 401)
    losses = [log_losses(shrink(raw, PRIOR, s), y).mean() for s in grid]
    assert fit_scale(raw, y, PRIOR) == pytest.approx(grid[int(np.argmin(losses))], abs=0.006)


def test_serving_applies_what_training_fitted():
    raw, _ = make_case(n=50)
    scale = 0.7
    offsets = tuple(((1 - scale) * np.log(PRIOR)).tolist())
    for row, p in zip(raw.tolist(), shrink(raw, PRIOR, scale), strict=True):
        assert calibrated(row, scale, offsets) == pytest.approx(tuple(p), abs=1e-12)


def test_slope_is_least_squares_and_never_negative():
    draw = np.random.default_rng(0)
    raw = draw.normal(size=1_000)
    assert fit_slope(raw, 0.5 * raw) == pytest.approx(0.5)
    assert fit_slope(raw, -raw) == 0.0
    assert fit_slope(np.zeros(10), np.ones(10)) == 0.0


def test_threshold_pays_where_confidence_does():
    draw = np.random.default_rng(0)
    sure = draw.random(2_000) < 0.2
    p = np.where(sure[:, None], [0.1, 0.1, 0.8], [0.3, 0.2, 0.5])
    returns = np.where(sure, 0.01, -0.01) + draw.normal(size=2_000) * 0.001
    threshold, found = choose_threshold(p, returns, 0.001)
    assert found
    assert threshold == pytest.approx(0.8)


def test_rows_that_cost_more_than_they_earn_raise_the_threshold():
    draw = np.random.default_rng(0)
    sure = draw.random(2_000) < 0.2
    p = np.where(sure[:, None], [0.1, 0.1, 0.8], [0.3, 0.2, 0.5])
    returns = 0.01 + draw.normal(size=2_000) * 0.001
    assert choose_threshold(p, returns, np.full(2_000, 0.001))[0] == pytest.approx(0.5)
    assert choose_threshold(p, returns, np.where(sure, 0.001, 0.02))[0] == pytest.approx(0.8)


def test_no_paying_threshold_is_the_default():
    p = np.tile([0.2, 0.2, 0.6], (1_000, 1))
    returns = np.random.default_rng(0).normal(size=1_000) * 0.0001
    assert choose_threshold(p, returns, 0.001) == (DEFAULT_THRESHOLD, False)


def test_no_directional_row_is_the_default():
    p = np.tile([0.2, 0.6, 0.2], (1_000, 1))
    assert choose_threshold(p, np.ones(1_000), 0.001) == (DEFAULT_THRESHOLD, False)


def test_few_rows_choose_no_threshold():
    p = np.tile([0.2, 0.2, 0.6], (20, 1))
    assert choose_threshold(p, np.linspace(0.1, 0.2, 20), 0.001) == (DEFAULT_THRESHOLD, False)
