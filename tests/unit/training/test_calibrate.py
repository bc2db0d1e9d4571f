"""Calibration: from trust to climatology, the least loss, and a threshold that pays."""

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression

from models.scorer import calibrated, stepped
from training.calibrate import (
    DEFAULT_THRESHOLD,
    ISOTONIC_DAYS,
    MAX_SCALE,
    choose_threshold,
    effective_days,
    fit_calibration,
    fit_scale,
    fit_slope,
    isotonic,
    shrink,
    softmax,
)
from training.calibrate import calibrated as calibrated_rows
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


def test_scale_of_what_says_the_opposite_is_zero():
    raw, y = make_case()
    assert fit_scale(2 * np.log(PRIOR) - raw, y, PRIOR) == 0.0


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
    threshold = choose_threshold(p, returns, 0.001)
    assert threshold.pays
    assert threshold.confidence == pytest.approx(0.8)
    assert threshold.coverage == sure.mean()


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
    assert choose_threshold(p, returns, 0.001) == (DEFAULT_THRESHOLD, False, 0.0)


def test_no_directional_row_is_the_default():
    p = np.tile([0.2, 0.6, 0.2], (1_000, 1))
    assert choose_threshold(p, np.ones(1_000), 0.001) == (DEFAULT_THRESHOLD, False, 0.0)


def test_few_rows_choose_no_threshold():
    p = np.tile([0.2, 0.2, 0.6], (20, 1))
    assert choose_threshold(p, np.linspace(0.1, 0.2, 20), 0.001) == (DEFAULT_THRESHOLD, False, 0.0)


@pytest.mark.parametrize("steps", [5, 200, 5_000])
def test_isotonic_curve_is_that_of_scikit_learn(steps):
    draw = np.random.default_rng(0)
    p = draw.integers(0, steps, 3_000) / steps
    happened = draw.random(3_000) < p**2
    curve = isotonic(p, happened)
    least = 1 / (len(p) + 2)
    oracle = IsotonicRegression(y_min=least, y_max=1 - least, out_of_bounds="clip")
    x = np.concatenate([p, draw.random(500)])
    told = oracle.fit(p, happened).predict(x)
    np.testing.assert_allclose(np.interp(x, curve.x, curve.y), told, atol=1e-12)


def test_curves_mend_what_a_scale_cannot():
    raw, y = make_case(n=20_000)
    bent = np.sign(raw) * np.abs(raw) ** 3
    few, many = (fit_calibration(bent, y, PRIOR, n) for n in (ISOTONIC_DAYS - 1, ISOTONIC_DAYS))
    assert few.isotonic is None
    loss, mended = (log_losses(calibrated_rows(bent, each), y).mean() for each in (few, many))
    assert mended < loss - 0.002


def test_serving_follows_the_curves_as_training_does():
    raw, y = make_case(n=2_000)
    found = fit_calibration(raw, y, PRIOR, ISOTONIC_DAYS)
    wild = np.concatenate([raw[:200], 50 * raw[:20], np.zeros((1, 3))])
    for row, p in zip(wild.tolist(), calibrated_rows(wild, found), strict=True):
        once = calibrated(row, found.scale, found.offsets)
        assert stepped(once, found.isotonic) == pytest.approx(tuple(p), abs=1e-12)
        assert min(p) > 0.0


def test_days_count_once_and_less_when_labels_last_longer():
    day = 86_400_000_000
    as_of = np.repeat(np.arange(10), 7) * day
    assert effective_days(as_of, 60_000_000) == 10
    assert effective_days(as_of, 5 * day) == 2
