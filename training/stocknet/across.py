"""What needs all symbols at once, in tables of (day, symbol): known at that day's close."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from training.labels import Floats

_BETA, _IDIO, _LONG, _SKIP = 60, 20, 250, 20  # sessions
_FIRST, _WINDOW, _EVERY = 60, 250, 5  # of the peers' correlations
_SHRINK = 0.3  # towards no correlation: 88 symbols on 250 days
_MOST = 4.0  # standard deviations; one day's news is not the symbols' usual tie


def log_of(table: pd.DataFrame) -> pd.DataFrame:
    """Natural logarithms of a table."""
    return pd.DataFrame(np.log(table.to_numpy()), table.index, table.columns)


def market_and_sector(closes: pd.DataFrame, sectors: Mapping[str, str]) -> dict[str, pd.DataFrame]:
    """Market- and sector-relative returns, beta and what it leaves, from adjusted closes.

    The market is the mean log return of all symbols; a residual of a day takes the beta of the
    sessions before it.
    """
    r = log_of(closes).diff()
    market = r.mean(axis=1)
    together = r.rolling(_BETA, min_periods=_BETA // 2).cov(market)
    beta = together.div(market.rolling(_BETA, min_periods=_BETA // 2).var(), axis=0)
    residual = r - beta.shift(1).mul(market, axis=0)
    group = pd.Series([sectors.get(str(symbol), "") for symbol in closes], closes.columns)
    sector = r.T.groupby(group).transform("mean").T
    found = {
        "beta_60d": beta,
        "residual_volatility_20d": residual.rolling(_IDIO).std(),
        "residual_max_20d": residual.rolling(_IDIO).max(),
        "residual_min_20d": residual.rolling(_IDIO).min(),
        "residual_momentum_250d": residual.shift(_SKIP).rolling(_LONG - _SKIP).sum(),
    }
    for n in (1, 5, 20, 60):
        found[f"residual_{n}d"] = residual.rolling(n).sum()
    for n in (1, 5, 20):
        found[f"return_sector_relative_{n}d"] = (r - sector).rolling(n).sum()
        found[f"return_sector_{n}d"] = sector.rolling(n).sum()
    return found


def against_peers(bars: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """What of a symbol's day its peers do not explain, for several parts of the day.

    Peers are all other symbols, each weighed by how it moved with this one over the 250 sessions
    before. `bars` are tables by column: open, high, low, close, adj_close, volume.
    """
    r = log_of(bars["adj_close"]).diff()
    close, high, low = bars["close"], bars["high"], bars["low"]
    usual = r.rolling(_IDIO, min_periods=_IDIO // 2).std().shift(1)

    def scaled(move: pd.DataFrame) -> pd.DataFrame:
        found: pd.DataFrame = (move / usual).clip(-_MOST, _MOST)
        return found

    volume = log_of(bars["volume"] + 1.0)
    typical = volume.rolling(_IDIO, min_periods=_IDIO // 2).mean().shift(1)
    parts = {
        "return": scaled(r),
        "intraday": scaled(log_of(close / bars["open"])),
        "overnight": scaled(log_of(bars["open"] / close.shift(1))),
        "close_typical": scaled(log_of(close / ((high + low + close) / 3.0))),
        "volume": (volume - typical).clip(-3.0, 3.0),
        "range_position": (close - low) / (high - low).where(high > low) - 0.5,
    }
    own = _unexplained(parts["return"], parts)
    spans = {"return": (1, 2, 5, 20, 60), "intraday": (1, 5, 20), "overnight": (1, 5, 20),
             "close_typical": (1, 2, 5, 20), "volume": (1,), "range_position": (1, 5)}  # fmt: skip
    return {
        f"peers_{part}_{n}d": own[part].rolling(n).sum()
        for part, lengths in spans.items()
        for n in lengths
    }


def _unexplained(
    returns: pd.DataFrame, parts: Mapping[str, pd.DataFrame]
) -> dict[str, pd.DataFrame]:
    """Each part less what the others' part of the same day says of it.

    With P the inverse of the correlations, row i of P over P_ii is 1 for symbol i and minus the
    coefficients of its regression on all others.
    """
    past = returns.fillna(0.0).to_numpy()
    given = {name: table.fillna(0.0).to_numpy() for name, table in parts.items()}
    out = {name: np.full(past.shape, np.nan) for name in parts}
    weights = np.eye(past.shape[1])
    for t in range(_FIRST, len(past)):
        if (t - _FIRST) % _EVERY == 0:
            weights = _regressions(past[max(0, t - _WINDOW) : t])
        for name, values in given.items():
            out[name][t] = weights @ values[t]
    return {name: pd.DataFrame(out[name], returns.index, returns.columns) for name in parts}


def _regressions(past: Floats) -> Floats:
    covariance = past.T @ past / len(past)
    spread = np.sqrt(np.diag(covariance)) + 1e-9
    correlation = covariance / spread / spread[:, None]
    shrunk = (1.0 - _SHRINK) * correlation + _SHRINK * np.eye(len(spread))
    inverse = np.linalg.inv(shrunk)
    found: Floats = inverse / np.diag(inverse)[:, None]
    return found
