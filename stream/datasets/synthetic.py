"""A synthetic market, made from a seed: no real company, no real news.

Log prices are Brownian motion with a volatility that clusters and a U-shaped day, sampled at the
trades. Articles come at random; after one is available at `a` the log price drifts evenly by

    effect * polarity * DRIFT_SIGMAS * SIGMA_MINUTE * sqrt(DRIFT_MINUTES)   over (a, a + 30 min]

and nothing else in a price can be known beforehand. With effect = 0 the news says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from math import sqrt

import numpy as np
import numpy.typing as npt

from stream.clock.calendar import Session, sessions
from stream.datasets.dataset import Dataset, Timed
from stream.datasets.headlines import headline
from stream.events import Instrument, NewsArticle, Tick, encode, moment

DRIFT_MINUTES = 30
DRIFT_SIGMAS = 1.0
SIGMA_MINUTE = 0.0006
SIGMA_NIGHT = 0.006
CALENDAR = "XNYS"
START = date(2023, 3, 1)
END = date(2023, 12, 29)
BEFORE_OPEN = 0.1  # share of the articles that come in the two hours before the open
MINUTE = 60_000_000
_SECTORS = ("Technology", "Health", "Energy", "Finance")
_NAMES = ("Alder", "Birch", "Cedar", "Dogwood", "Elm", "Fir", "Gorse", "Hazel", "Ivy", "Juniper",
          "Kauri", "Larch", "Maple", "Nutmeg", "Oak", "Pine", "Quince", "Rowan", "Spruce", "Teak",
          "Upas", "Viburnum", "Willow", "Xylia", "Yew", "Zelkova")  # fmt: skip

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Path:
    """One symbol's truth. Articles by availability; times in microseconds."""

    article_us: Ints
    delay_us: Ints  # between publication and availability
    polarity: Floats  # -1, 0 or 1
    trade_us: Ints
    price: Floats
    size: Ints


@dataclass(frozen=True)
class SyntheticDataset(Dataset):
    """A dataset that knows what was planted in it."""

    effect: float
    paths: dict[str, Path]

    def planted_return(
        self,
        symbols: npt.NDArray[np.str_],
        as_of_us: Ints,
        entry_us: Ints,
        exit_us: Ints,
    ) -> Floats:
        """Expected log return over (entry, exit] of who knows all articles available at as_of."""
        expected = np.zeros(len(as_of_us))
        for symbol, path in self.paths.items():
            rows = np.flatnonzero(symbols == symbol)
            rows = rows[np.argsort(as_of_us[rows], kind="stable")]
            known = as_of_us[rows]
            ends = path.article_us + DRIFT_MINUTES * MINUTE
            first = np.searchsorted(known, path.article_us)
            last = np.searchsorted(known, ends)
            for a, polarity, i, j in zip(path.article_us, path.polarity, first, last, strict=True):
                mine = rows[i:j]
                expected[mine] += polarity * (_spent(exit_us[mine], a) - _spent(entry_us[mine], a))
        return expected * self.effect * DRIFT_SIGMAS * SIGMA_MINUTE * sqrt(DRIFT_MINUTES)

    def planted_ic(
        self,
        symbols: npt.NDArray[np.str_],
        as_of_us: Ints,
        entry_us: Ints,
        exit_us: Ints,
        forward_return: Floats,
    ) -> float:
        """Correlation of the planted with the realised return: what a perfect model has.

        0 where nothing was planted. The columns are those of a `training.rows.TrainingTable`.
        """
        expected = self.planted_return(symbols, as_of_us, entry_us, exit_us)
        if not expected.any():
            return 0.0
        return float(np.corrcoef(expected, forward_return)[0, 1])


def generate(
    seed: int,
    effect: float,
    *,
    n_symbols: int = 12,
    n_sessions: int = 12,
    trades_per_minute: float = 3.0,
    articles_per_session: float = 12.0,
) -> SyntheticDataset:
    """A dataset of the feature set `intraday`; the same arguments give the same bytes.

    Parameters
    ----------
    effect : size of the news effect; 0 for none, 1 for a drift of one DRIFT_MINUTES sigma.
    n_symbols : at most 676.
    articles_per_session : mean count a symbol and session; a fifth of them says nothing.
    """
    days = sessions(CALENDAR, START, END)[:n_sessions]
    instruments = tuple(_instrument(i) for i in range(n_symbols))
    paths = {
        one.symbol: _path(
            np.random.default_rng([seed, i]), days, effect, trades_per_minute, articles_per_session
        )
        for i, one in enumerate(instruments)
    }
    news = [
        timed
        for i, one in enumerate(instruments)
        for timed in _articles(np.random.default_rng([seed, i, 1]), one, paths[one.symbol])
    ]
    news.sort(key=lambda timed: (timed.at, timed.key))
    ends = [us for path in paths.values() for us in (path.trade_us[0], path.trade_us[-1])]
    ends += [timed.at for timed in (*news[:1], *news[-1:])]
    return SyntheticDataset(
        name=f"synthetic-{seed}",
        feature_set="intraday",
        tape="ticks",
        span=(int(min(ends)), int(max(ends))),
        instruments=instruments,
        events=lambda: _merged(news, paths),
        effect=effect,
        paths=paths,
    )


def _instrument(i: int) -> Instrument:
    name = _NAMES[i % len(_NAMES)] + (f" {i // len(_NAMES) + 1}" if i >= len(_NAMES) else "")
    return Instrument(
        symbol=f"SYN{chr(65 + i // 26)}{chr(65 + i % 26)}",
        company=f"Synthetic {name}",
        sector=_SECTORS[i % len(_SECTORS)],
        calendar=CALENDAR,
    )


def _path(
    rng: np.random.Generator,
    days: list[Session],
    effect: float,
    trades_per_minute: float,
    articles: float,
) -> Path:
    """One symbol's articles and trades over all sessions."""
    article_us = np.concatenate([_article_times(rng, day, articles) for day in days])
    polarity = rng.choice([-1.0, 0.0, 1.0], len(article_us), p=[0.4, 0.2, 0.4])
    delay_us = (rng.lognormal(1.5, 0.6, len(article_us)) * 1e6).astype(np.int64)
    level = 1.0
    times, steps = [], []
    for day in days:
        n = (day.close - day.open) // MINUTE
        shape = 1.0 + 0.8 * np.linspace(-1.0, 1.0, n) ** 2  # busy open and close
        shape /= shape.mean()
        levels = np.empty(n)
        for m, shock in enumerate(rng.normal(0.0, 0.04, n)):
            level = levels[m] = max(0.4, min(2.5, 1.0 + 0.98 * (level - 1.0) + shock))
        counts = np.maximum(1, rng.poisson(trades_per_minute * shape))
        minute = np.repeat(np.arange(n), counts)
        within = rng.integers(0, MINUTE, len(minute))
        order = np.lexsort((within, minute))
        at = minute[order] * MINUTE + within[order]
        sigma = SIGMA_MINUTE * (levels * shape)[minute]
        waited = np.diff(at, prepend=0) / MINUTE
        step = rng.normal(0.0, 1.0, len(at)) * sigma * np.sqrt(waited)
        step[0] += rng.normal(0.0, SIGMA_NIGHT)
        times.append(day.open + at)
        steps.append(step)
    trade_us = np.concatenate(times)
    log_price = np.log(rng.uniform(60.0, 300.0)) + np.cumsum(np.concatenate(steps))
    total = effect * DRIFT_SIGMAS * SIGMA_MINUTE * sqrt(DRIFT_MINUTES)
    for a, side in zip(article_us, polarity, strict=True):
        first = np.searchsorted(trade_us, a)
        log_price[first:] += side * total * _spent(trade_us[first:], a)
    return Path(
        article_us=article_us,
        delay_us=delay_us,
        polarity=polarity,
        trade_us=trade_us,
        price=np.round(np.exp(log_price), 2),
        size=np.ceil(rng.lognormal(4.0, 1.0, len(trade_us))).astype(np.int64),
    )


def _article_times(rng: np.random.Generator, day: Session, articles: float) -> Ints:
    n_before = rng.poisson(articles * BEFORE_OPEN)
    before = rng.integers(day.open - 120 * MINUTE, day.open, n_before)
    inside = rng.integers(day.open, day.close - MINUTE, rng.poisson(articles * (1 - BEFORE_OPEN)))
    return np.sort(np.concatenate([before, inside]))


def _spent(at_us: Ints, article_us: int) -> Floats:
    """Share of an article's drift that is behind at `at_us`."""
    return np.clip((at_us - article_us) / (DRIFT_MINUTES * MINUTE), 0.0, 1.0)


def _articles(rng: np.random.Generator, about: Instrument, path: Path) -> Iterator[Timed]:
    columns = zip(
        path.article_us.tolist(), path.delay_us.tolist(), path.polarity.tolist(), strict=True
    )
    for serial, (at, delay, polarity) in enumerate(columns, 1):
        article = NewsArticle(
            id=f"{about.symbol.lower()}-{serial}",
            source="synthetic",
            published_at=moment(at - delay),
            received_at=moment(at),
            headline=headline(rng, about.company, polarity, serial),
            symbols=(about.symbol,),
            lang="en",
        )
        yield Timed("news", at, article.id.encode(), encode(article))


def _merged(news: list[Timed], paths: dict[str, Path]) -> Iterator[Timed]:
    """News and trades by availability; of those at one moment news first, then by symbol."""
    symbols = list(paths)
    owner = np.concatenate([np.full(len(p.trade_us), i) for i, p in enumerate(paths.values())])
    at = np.concatenate([p.trade_us for p in paths.values()])
    price = np.concatenate([p.price for p in paths.values()])
    size = np.concatenate([p.size for p in paths.values()])
    order = np.argsort(at, kind="stable")
    columns = (column[order].tolist() for column in (owner, at, price, size))
    waiting = iter(news)
    article = next(waiting, None)
    for i, us, paid, n in zip(*columns, strict=True):
        while article is not None and article.at <= us:
            yield article
            article = next(waiting, None)
        tick = Tick(symbol=symbols[i], ts=moment(us), price=paid, size=float(n))
        yield Timed("ticks", us, symbols[i].encode(), encode(tick))
    if article is not None:
        yield article
    yield from waiting
