"""The market's return over each row's own span, against loops over rows and symbols."""

import numpy as np
import pytest

from training.market_return import MIN_SYMBOLS, market_returns
from training.prices import PricePath

MINUTE = 60_000_000


def make_path(draw, n=200, share=0.8):
    at = np.flatnonzero(draw.random(n) < share).astype(np.int64) * MINUTE
    return PricePath(at - MINUTE, at, at, draw.uniform(9, 11, len(at)), None)


def make_rows(seed, n_symbols=8, n=600):
    """Rows of entries and exits at which their own symbol traded."""
    draw = np.random.default_rng(seed)
    paths = {f"S{i}": make_path(draw) for i in range(n_symbols)}
    symbol = draw.choice(list(paths), n)
    entry, exit_ = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    for i, name in enumerate(symbol):
        at = paths[name].at_us
        first = draw.integers(0, len(at) - 40)
        entry[i], exit_[i] = at[first], at[first + draw.integers(28, 32)]
    return symbol, entry, exit_, paths


@pytest.mark.parametrize("seed", range(3))
def test_market_return_equals_a_loop_over_symbols(seed):
    symbol, entry, exit_, paths = make_rows(seed)
    found = market_returns(symbol, entry, exit_, paths)
    known = 0
    for i in range(len(symbol)):
        returns = []
        for name in sorted(set(symbol[entry == entry[i]])):
            at, price = paths[name].at_us.tolist(), paths[name].price.tolist()
            sold = max(k for k, us in enumerate(at) if us <= exit_[i])
            returns.append(price[sold] / price[at.index(entry[i])] - 1.0)
        if len(returns) < MIN_SYMBOLS:
            assert np.isnan(found[i])
        else:
            known += 1
            assert found[i] == pytest.approx(np.mean(returns), abs=1e-12)
    assert known > 20


def test_prices_after_a_rows_exit_change_nothing():
    symbol, entry, exit_, paths = make_rows(1)
    found = market_returns(symbol, entry, exit_, paths)
    row = np.flatnonzero(~np.isnan(found))[0]
    later = {
        name: path._replace(price=np.where(path.at_us > exit_[row], 1e6, path.price))
        for name, path in paths.items()
    }
    assert market_returns(symbol, entry, exit_, later)[row] == found[row]


def test_symbol_counts_once_however_many_rows_it_has():
    at = np.array([0, MINUTE])
    paths = {f"S{i}": PricePath(at - 1, at, at, np.array([10.0, 10.0 + i]), None) for i in range(5)}
    symbol = np.array(["S0", "S1", "S2", "S3", "S4", *["S4"] * 20])
    found = market_returns(symbol, np.zeros(25, dtype=int), np.full(25, MINUTE), paths)
    assert found == pytest.approx(np.full(25, 0.2))


def test_no_rows_have_no_market():
    none = np.zeros(0, dtype=np.int64)
    assert len(market_returns(np.zeros(0, dtype="<U1"), none, none, {})) == 0
