"""Drift: PSI by its definition, and bands that whole days explain: noise passes, a shift fails."""

from __future__ import annotations

from math import inf, log, nan

import numpy as np
import pytest

from models.artifact import Reference
from training.drift import (
    GAP,
    LOSS,
    Bins,
    drifted,
    equal_bins,
    off,
    psi,
    worse,
)

LEVELS = ("0.001", "0.01", "0.1", "0.5", "0.9", "0.99", "0.999")
N_FEATURES = 20
NAMES = [f"f{i}" for i in range(N_FEATURES)]


def reference(column, missing=0.0):
    found = {level: float(np.quantile(column, float(level))) for level in LEVELS}
    return Reference(missing=missing, quantiles=found)


def market(seed, n_days, n_rows=60, persistence=0.7):
    """(n_days, n_rows, features): rows of a day share its level, and days follow each other."""
    draw = np.random.default_rng(seed)
    level, days = np.zeros(N_FEATURES), []
    for _ in range(n_days + 20):
        fresh = draw.normal(size=N_FEATURES)
        level = persistence * level + (1 - persistence**2) ** 0.5 * fresh
        days.append(level + draw.normal(size=(n_rows, N_FEATURES)))
    return np.array(days[20:])


def findings(before, after):
    bins = [Bins.of(reference(before[:, :, i].ravel())) for i in range(N_FEATURES)]

    def counts(days):
        return [np.stack([one.count(day[:, i]) for day in days]) for i, one in enumerate(bins)]

    known = counts(before)
    measured = [one.measured(each.sum(axis=0)) for one, each in zip(bins, known, strict=True)]
    return drifted(NAMES, measured, known, counts(after))


@pytest.mark.parametrize("seed", range(5))
def test_psi_and_bins_are_their_definitions(seed):
    draw = np.random.default_rng(seed)
    was, now = draw.normal(size=2_000), draw.normal(0.3 * seed, 1.2, size=500)
    bins = Bins.of(reference(was))
    edges = [-inf, *np.quantile(was, [float(level) for level in LEVELS]), inf]
    levels = [0.0, *map(float, LEVELS), 1.0]
    expected, naive = [], 0.0
    for low, high, below, upto in zip(edges, edges[1:], levels, levels[1:], strict=False):
        n = sum(low < value <= high for value in now)
        e, a = upto - below, max(n / len(now), 1e-4)
        naive += (a - e) * log(a / e)
        expected.append(n)
    counts = bins.count(np.append(now, [nan] * 7))
    assert counts.tolist() == [*expected, 7]
    assert psi(bins.shares[:-1], counts[:-1] / 500) == pytest.approx(naive)


def test_quantiles_that_are_equal_are_no_edge_for_nobody_knows_what_lies_below():
    found = Bins.of(reference(np.append(np.zeros(800), np.arange(1.0, 201.0))))
    assert (found.edges > 0.0).all()
    assert found.shares[:-1].sum() == pytest.approx(1.0)
    assert len(found.shares) == len(found.edges) + 2
    assert Bins.of(Reference(missing=1.0, quantiles={})).shares.tolist() == [1.0, 1.0]


def test_equal_bins_expect_what_made_them():
    values = np.random.default_rng(0).normal(size=1_000)
    bins = equal_bins(values)
    assert bins.shares == pytest.approx(np.array([0.1] * 10 + [0.0]), abs=0.01)
    assert psi(bins.shares[:-1], bins.count(values)[:-1] / 1_000) == 0.0


@pytest.mark.parametrize("seed", range(4))
def test_days_of_the_same_market_pass_where_psi_alone_would_fire(seed):
    days = market(seed, 65)
    found = findings(days[:60], days[60:])
    assert max(each.value for each in found) > 0.25
    assert {each.says for each in found} == {"PASS"}


def test_a_feature_that_moved_fails_and_is_the_only_one():
    days = market(1, 65, persistence=0.3)
    days[60:, :, 3] += 6.0
    failed = [each for each in findings(days[:60], days[60:]) if each.says != "PASS"]
    assert [(each.name, each.says) for each in failed] == [("f3: PSI", "FAIL")]
    assert failed[0].value > failed[0].limits[1] > 0.25


def test_a_feature_that_is_no_longer_there_fails_by_its_share_without_a_value():
    days = market(2, 65)
    days[60:, 10:, 5] = nan
    failed = [each for each in findings(days[:60], days[60:]) if each.says != "PASS"]
    assert [each.name for each in failed] == ["f5: share without a value"]
    assert failed[0].value == pytest.approx(50 / 60)
    days[60:, :, 5] = nan
    said = {each.name: each.says for each in findings(days[:60], days[60:])}
    assert (said["f5: share without a value"], said["f5: PSI"]) == ("FAIL", "PASS")


def test_with_too_few_days_for_a_band_nothing_is_more_than_a_warning():
    days = market(3, 35)
    days[30:] += 9.0
    found = findings(days[:30], days[30:])
    assert {each.says for each in found if each.name.endswith("PSI")} == {"WARN"}


def judged(seed, more, n_days=40, n_rows=50):
    """A loss a row, `more` of it in the last ten days; days differ by 0.05."""
    draw = np.random.default_rng(seed)
    day = np.repeat(np.arange(n_days), n_rows)
    level = draw.normal(0.0, 0.05, n_days)[day]
    return day, 1.0 + level + draw.normal(0.0, 0.3, len(day)) + more * (day >= n_days - 10)


def test_a_higher_loss_fails_beyond_the_noise_of_days():
    said = [worse("loss", *judged(seed, 0.0), 30, LOSS).says for seed in range(20)]
    assert said.count("PASS") >= 18
    found = worse("loss", *judged(0, 0.3), 30, LOSS)
    assert found.says == "FAIL"
    day, loss = judged(0, 0.3)
    means = np.array([loss[day == each].mean() for each in range(40)])
    assert found.value == pytest.approx(means[30:].mean() - means[:30].mean())
    errors = [part.var(ddof=1) / len(part) for part in (means[:30], means[30:])]
    assert found.limits[1] == pytest.approx(3 * sum(errors) ** 0.5)
    assert worse("loss", day, loss, 37, LOSS) is None


def test_probabilities_off_what_came_true_fail():
    day, loss = judged(0, 0.0)
    assert off("P", day, loss - 1.0, GAP).says == "PASS"
    assert off("P", day, loss - 0.8, GAP).says == "FAIL"
    assert off("P", day, 0.8 - loss, GAP).says == "FAIL"
    assert off("P", day[:100], loss[:100], GAP) is None
