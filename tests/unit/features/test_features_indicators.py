"""Indicators: the doctests, extremes, and the feature table in the docs."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

from stream.features import indicators, news, table
from stream.features.indicators import bollinger_b, ema_weights, macd_histogram, rsi_cutler


@pytest.mark.parametrize("module", [indicators, news])
def test_examples_in_docstrings_hold(module):
    result = doctest.testmod(module)
    assert result.failed == 0
    assert result.attempted > 0


@pytest.mark.parametrize(
    ("closes", "expected"),
    [([1.0, 2.0, 3.0], 100.0), ([3.0, 2.0, 1.0], 0.0), ([1.0, 2.0, 1.0], 50.0), ([5.0] * 15, 50.0)],
)
def test_rsi_of_only_gains_only_losses_and_no_moves(closes, expected):
    assert rsi_cutler(closes) == expected


def test_bollinger_of_equal_closes_has_no_band():
    assert bollinger_b([0.1] * 20) is None
    assert bollinger_b([1e9] * 19 + [1e9 - 1]) is not None


def test_ema_weights_sum_to_one_and_fall():
    weights = ema_weights(12)
    assert sum(weights) == pytest.approx(1.0)
    assert weights == sorted(weights, reverse=True)


def test_macd_of_equal_closes_is_zero():
    assert macd_histogram([7.0] * 104) == pytest.approx(0.0, abs=1e-15)


def test_feature_table_in_docs_is_the_one_the_code_makes():
    assert Path("docs/features.md").read_text(encoding="utf-8") == table.table()
