"""A synthetic market, made from a seed: no real company, no real news.

Prices are geometric Brownian motion with a volatility that clusters and a U-shaped day. Articles
come at random; after one is available the price drifts by

    effect * polarity * DRIFT_SIGMAS * sigma_minute * sqrt(DRIFT_MINUTES)

spread evenly over the next DRIFT_MINUTES of trading, and nothing else in the price can be known
beforehand. With effect = 0 the news says nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import date
from math import ceil, sqrt

import numpy as np
import numpy.typing as npt

from stream.clock.calendar import sessions
from stream.datasets.dataset import Dataset, Timed
from stream.events import Instrument, NewsArticle, Tick, encode, moment

DRIFT_MINUTES = 30
DRIFT_SIGMAS = 1.0
SIGMA_MINUTE = 0.0006
START = date(2023, 3, 1)
END = date(2023, 12, 29)
MINUTE = 60_000_000
_DELAY_US = 5_000_000  # between an article's publication and its receipt
_SECTORS = ("Technology", "Health", "Energy", "Finance")
_GOOD = (
    "{} beats estimates as profit surges", "{} raises outlook on strong growth",
    "{} wins approval, shares jump", "Analysts upgrade {} after record profit",
    "{} announces buyback and higher dividend", "{} sales growth tops forecasts",
)  # fmt: skip
_BAD = (
    "{} misses estimates as losses widen", "{} cuts outlook, warns of weak demand",
    "{} faces lawsuit and fraud probe", "Analysts downgrade {} after profit shortfall",
    "{} recalls product, shares plunge", "{} announces layoffs on falling sales",
)  # fmt: skip
_PLAIN = (
    "{} to present at an industry conference", "{} names a new board member",
    "{} opens an office in the region", "{} publishes its meeting calendar",
)  # fmt: skip

Floats = npt.NDArray[np.float64]


def generate(
    seed: int,
    effect: float,
    *,
    n_symbols: int = 12,
    n_sessions: int = 12,
    trades_per_minute: float = 3.0,
    articles_per_session: float = 12.0,
) -> Dataset:
    """A dataset of the feature set `intraday`.

    Parameters
    ----------
    effect : size of the news effect; 0 for none, 1 for a drift of one DRIFT_MINUTES sigma.
    articles_per_session : mean count a symbol and session.
    """
    days = sessions("XNYS", START, END)[:n_sessions]
    symbols = [f"SYN{chr(65 + i // 26)}{chr(65 + i % 26)}" for i in range(n_symbols)]
    made = []
    for i, symbol in enumerate(symbols):
        rng = np.random.default_rng([seed, i])
        price = float(rng.uniform(20, 200))
        sigma = 1.0
        for session in days:
            one, price, sigma = _session(
                rng, symbol, session.open, session.close, price, sigma, effect,
                trades_per_minute, articles_per_session,
            )  # fmt: skip
            made.extend(one)
    made.sort(key=lambda timed: (timed.at, timed.topic != "news", timed.key))

    def events() -> Iterator[Timed]:
        return iter(made)

    instruments = tuple(
        Instrument(
            symbol=symbol,
            company=f"Synthetic {symbol}",
            sector=_SECTORS[i % len(_SECTORS)],
            calendar="XNYS",
        )
        for i, symbol in enumerate(symbols)
    )
    span = (made[0].at, made[-1].at)
    return Dataset(f"synthetic-{seed}", "intraday", "ticks", span, instruments, events)


def _session(
    rng: np.random.Generator,
    symbol: str,
    opened: int,
    closed: int,
    price: float,
    sigma: float,
    effect: float,
    trades_per_minute: float,
    articles: float,
) -> tuple[list[Timed], float, float]:
    """One symbol's session: its records, its last price and its volatility level."""
    n = (closed - opened) // MINUTE
    shape = 1.0 + 0.8 * (np.linspace(-1.0, 1.0, n) ** 2)  # busy open and close
    shocks = rng.normal(0.0, 0.04, n)
    levels = np.empty(n)
    for m in range(n):
        sigma = max(0.4, min(2.5, 1.0 + 0.98 * (sigma - 1.0) + shocks[m]))
        levels[m] = sigma
    per_minute = SIGMA_MINUTE * levels * shape / shape.mean()
    drift = np.zeros(n)
    out = []
    count = int(rng.poisson(articles))
    moments = np.sort(rng.integers(opened, closed - MINUTE, count))
    polarities = rng.choice([-1.0, 0.0, 1.0], count, p=[0.4, 0.2, 0.4])
    for at, polarity in zip(moments.tolist(), polarities.tolist(), strict=True):
        out.append(_article(rng, symbol, at, polarity))
        first = ceil((at + _DELAY_US + 2_000_000 - opened) / MINUTE)
        total = effect * polarity * DRIFT_SIGMAS * SIGMA_MINUTE * sqrt(DRIFT_MINUTES)
        drift[first : first + DRIFT_MINUTES] += total / DRIFT_MINUTES
    counts = rng.poisson(trades_per_minute * shape / shape.mean())
    for m in range(n):
        k = max(1, int(counts[m]))
        times = np.sort(rng.integers(opened + m * MINUTE, opened + (m + 1) * MINUTE, k))
        steps = rng.normal(drift[m] / k, per_minute[m] / sqrt(k), k)
        sizes = np.ceil(rng.lognormal(4.0, 1.0, k))
        for at, step, size in zip(times.tolist(), steps.tolist(), sizes.tolist(), strict=True):
            price *= float(np.exp(step))
            tick = Tick(symbol=symbol, ts=moment(at), price=round(price, 4), size=size)
            out.append(Timed("ticks", at, symbol.encode(), encode(tick)))
    return out, price, sigma


def _article(rng: np.random.Generator, symbol: str, at: int, polarity: float) -> Timed:
    pool = _PLAIN if polarity == 0 else _GOOD if polarity > 0 else _BAD
    headline = pool[int(rng.integers(len(pool)))].format(f"Synthetic {symbol}")
    article = NewsArticle(
        id=hashlib.blake2b(f"{symbol}{at}".encode(), digest_size=8).hexdigest(),
        source="synthetic",
        published_at=moment(at),
        received_at=moment(at + _DELAY_US),
        headline=f"{headline} (#{at % 100_000})",
        symbols=(symbol,),
        lang="en",
    )
    return Timed("news", at + _DELAY_US, article.id.encode(), encode(article))
