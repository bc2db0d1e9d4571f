"""The cross-section against numpy; order, sharing and ties."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.events import PaneEnd, SymbolEnd, decode, encode, moment
from stream.features.crosssection import GRID, beta, cross_of, market_pane, rank, z_score

NAMES = ("return_log_5m", "sentiment_mean_1d")
VALUES = st.one_of(st.none(), st.floats(-1e3, 1e3, allow_nan=False))
numbers = st.lists(st.floats(-1e6, 1e6, allow_nan=False), min_size=1, max_size=60)


@given(numbers)
def test_mean_spread_and_grid_are_numpys(values: list[float]) -> None:
    found = cross_of(values)
    assert found is not None
    scale = max(1.0, max(map(abs, values)))
    assert found.n == len(values)
    assert found.mean == pytest.approx(np.mean(values), abs=1e-9 * scale)
    assert found.spread == pytest.approx(np.std(values), rel=1e-6, abs=1e-7 * scale)
    wanted = np.quantile(values, np.arange(GRID + 1) / GRID)
    assert found.grid == pytest.approx(wanted, abs=1e-9 * scale)


@pytest.mark.parametrize("ties", [False, True])
def test_a_rank_is_the_share_below_to_within_the_grid(ties: bool) -> None:
    rng = random.Random(3)
    values = [rng.gauss(0, 1) for _ in range(500)]
    values = [round(value, 1) for value in values] if ties else values
    found = cross_of(values)
    assert found is not None
    for value in values:
        below = sum(other < value for other in values) + sum(other == value for other in values) / 2
        assert rank(found, value) == pytest.approx(below / len(values), abs=1 / GRID)
    ranks = [rank(found, value) for value in sorted(values)]
    assert ranks == sorted(ranks)
    assert (rank(found, -9.0), rank(found, 9.0)) == (0.0, 1.0)


def test_where_all_are_equal_each_stands_in_the_middle_and_has_no_z_score() -> None:
    found = cross_of([2.0] * 7)
    assert found is not None
    assert rank(found, 2.0) == 0.5
    assert z_score(found, 2.0) is None


def test_beta_is_the_least_squares_slope() -> None:
    rng = random.Random(4)
    pairs = [(i, rng.gauss(0, 1), rng.gauss(0, 1)) for i in range(50)]
    slope = np.polyfit([x for _, _, x in pairs], [y for _, y, _ in pairs], 1)[0]
    assert beta(pairs) == pytest.approx(slope)
    assert beta([(0, 1.0, 5.0), (1, 2.0, 5.0)]) is None


symbol_ends = st.lists(
    st.builds(
        SymbolEnd,
        symbol=st.integers(0, 10**6).map(lambda i: f"S{i}"),
        sector=st.sampled_from(["", "Tech", "Energy"]),
        move=VALUES,
        values=st.tuples(VALUES, VALUES),
    ),
    unique_by=lambda one: one.symbol,
    max_size=30,
)


@given(symbol_ends, st.randoms(use_true_random=False), st.integers(1, 5))
def test_neither_order_nor_partitions_change_a_market_pane(
    symbols: list[SymbolEnd], rng: random.Random, n_parts: int
) -> None:
    whole = market_pane(60, [_part(symbols)], 1, "S7")
    rng.shuffle(symbols)
    parts = [_part(symbols[i::n_parts]) for i in range(n_parts)]
    assert encode(market_pane(60, parts, 1, "S7")) == encode(whole)
    assert decode(type(whole), encode(whole)) == whole


def _part(symbols: list[SymbolEnd]) -> PaneEnd:
    return PaneEnd(partition=0, end=moment(60), names=NAMES, symbols=tuple(symbols))


def test_a_market_pane_says_what_its_symbols_did() -> None:
    symbols = [
        SymbolEnd("AAPL", "Tech", 0.02, (0.02, 0.5)),
        SymbolEnd("MSFT", "Tech", -0.01, (-0.01, None)),
        SymbolEnd("XOM", "Energy", 0.03, (0.03, -0.5)),
        SymbolEnd("NEW", "", None, (None, None)),
    ]
    pane = market_pane(60, [_part(symbols)], 2, benchmark="")
    moves = [0.02, -0.01, 0.03]
    assert (pane.n_symbols, pane.n_partitions) == (4, 2)
    assert pane.mean == pane.benchmark == pytest.approx(np.mean(moves))
    assert pane.spread == pytest.approx(np.std(moves))
    assert pane.breadth == pytest.approx(2 / 3)
    assert pane.sectors["Tech"].mean == pytest.approx(0.005)
    assert pane.sectors["Energy"].n == 1
    assert pane.ranked["sentiment_mean_1d"].mean == 0.0
    assert pane.ranked["return_log_5m"].n == 3
    known = market_pane(60, [_part(symbols)], 2, benchmark="XOM")
    assert (known.benchmark, known.benchmark_symbol) == (0.03, "XOM")
    assert market_pane(60, [_part(symbols)], 2, benchmark="SPY").benchmark_symbol == ""
