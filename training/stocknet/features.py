"""What is known of each symbol before a day: the scorer's own daily features, those that need all
symbols at once, and the news since the session before. Inputs of day d are bars before d and tweets
whose `day` is before d.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from stream.clock.calendar import Session, sessions
from stream.days import midnight
from stream.errors import Refused
from stream.features.panes import of_bar
from stream.features.sector import SECTOR
from stream.features.symbol import SymbolState
from stream.features.vector import DAILY
from training.labels import Floats
from training.stocknet.across import against_peers, market_and_sector
from training.stocknet.data import Folder
from training.stocknet.fresh import fresh_news
from training.stocknet.scores import Told

CALENDAR = "XNYS"
WARM = 61  # bars before a symbol's first row
_STALE = timedelta(days=10)  # a symbol without a bar for so long is gone
_NEWS = ("sentiment", "news", "source")
_COLUMNS = ("open", "high", "low", "close", "adj_close", "volume")
Vector = tuple[float | None, ...]


@dataclass(frozen=True)
class Rows:
    """One row a symbol and day, by day, then symbol. NaN is missing.

    own, peers, news, fresh : (n, names) what was known before the day: of prices, of prices against
        the peers', of news as the scorer sees them, and of those since the session before.
    move : (n,) adj_close over that of the bar before, less 1; NaN where the day has no bar.
    """

    day: npt.NDArray[np.datetime64]
    symbol: npt.NDArray[np.str_]
    sector: npt.NDArray[np.str_]
    own: pd.DataFrame
    peers: pd.DataFrame
    news: pd.DataFrame
    fresh: pd.DataFrame
    move: Floats

    def taken(self, which: npt.NDArray[np.bool_]) -> Rows:
        """Some of the rows."""
        own, peers, news, fresh = (
            table[which].reset_index(drop=True)
            for table in (self.own, self.peers, self.news, self.fresh)
        )
        return Rows(self.day[which], self.symbol[which], self.sector[which], own, peers, news,
                    fresh, self.move[which])  # fmt: skip


def make_rows(
    folder: Folder,
    told: Sequence[Told],
    progress: Callable[[str, float], None] = lambda step, share: None,
) -> Rows:
    """Rows of every day with a bar, of every symbol with enough bars before it."""
    bars = {name: folder.bars.pivot(index="date", columns="symbol", values=name)
            for name in _COLUMNS}  # fmt: skip
    days = bars["close"].index.to_numpy()
    items: dict[str, list[Told]] = {}
    for each in told:
        items.setdefault(each.symbol, []).append(each)
    vectors: list[tuple[np.datetime64, str, Vector]] = []
    symbols = list(bars["close"].columns)
    for n, (key, own) in enumerate(folder.bars.groupby("symbol", sort=True)):
        progress("features", n / len(symbols))
        name = str(key)
        vectors += [(day, name, vector)
                    for day, vector in _replayed(name, own, items.get(name, []), days)]  # fmt: skip
    if not vectors:
        raise Refused(
            f"{folder.path}: expected a symbol with {WARM} bars and a day after, got none"
        )
    vectors.sort(key=lambda row: row[:2])
    at = pd.MultiIndex.from_arrays([[v[0] for v in vectors], [v[1] for v in vectors]])
    scorer = pd.DataFrame([v[2] for v in vectors], columns=list(DAILY.names), dtype=float)
    scorer = scorer.drop(columns=SECTOR)  # ranks are of numbers
    is_news = scorer.columns.str.startswith(_NEWS)
    closes = bars["adj_close"]
    across = market_and_sector(closes, folder.sectors)
    symbol = at.get_level_values(1).to_numpy(dtype=str)
    return Rows(
        day=at.get_level_values(0).to_numpy().astype("datetime64[D]"),
        symbol=symbol,
        sector=np.array([folder.sectors.get(each, "") for each in symbol]),
        own=pd.concat([scorer.loc[:, ~is_news], _known_before(across, at)], axis=1),
        peers=_known_before(against_peers(bars), at),
        news=scorer.loc[:, is_news],
        fresh=_of_rows(fresh_news(told, days, CALENDAR), at),
        move=_of_rows({"move": closes / closes.ffill().shift(1) - 1.0}, at)["move"].to_numpy(),
    )


def _known_before(tables: dict[str, pd.DataFrame], at: pd.MultiIndex) -> pd.DataFrame:
    """Tables of what a day's close tells, as known from the next day on."""
    return _of_rows({name: table.shift(1) for name, table in tables.items()}, at)


def _of_rows(tables: dict[str, pd.DataFrame], at: pd.MultiIndex) -> pd.DataFrame:
    return pd.DataFrame(
        {name: table.stack(future_stack=True).reindex(at).to_numpy()
         for name, table in tables.items()}
    )  # fmt: skip


def _replayed(
    symbol: str, bars: pd.DataFrame, news: Sequence[Told], days: npt.NDArray[np.datetime64]
) -> Iterator[tuple[np.datetime64, Vector]]:
    """The scorer's vectors at midnight before each day."""
    state = SymbolState(symbol, DAILY)
    waiting = bars.itertuples(index=False)
    bar: Any = next(waiting, None)
    n_bars = n_news = 0
    last = pd.Timestamp.min
    for day in days:
        on = pd.Timestamp(day)
        while bar is not None and bar.date < on:
            _apply_bar(state, bar)
            last, n_bars = bar.date, n_bars + 1
            bar = next(waiting, None)
        while n_news < len(news) and news[n_news].day < on.toordinal():
            state.apply_news(news[n_news].item)
            n_news += 1
        if n_bars >= WARM and on - last <= _STALE:
            yield (
                day,
                state.vector(midnight(on.date()), include_open=False),
            )


def _apply_bar(state: SymbolState, bar: Any) -> None:
    session = _session(bar.date.date())
    state.apply_session("open", session.day.toordinal(), session.open)
    high, low = max(bar.high, bar.open, bar.close), min(bar.low, bar.open, bar.close)
    state.apply_bar(of_bar(session.open, session.close, bar.open, high, low, bar.close,
                           bar.volume, bar.adj_close))  # fmt: skip
    state.apply_session("close", session.day.toordinal(), session.close)


@lru_cache(maxsize=4096)
def _session(day: date) -> Session:
    found = sessions(CALENDAR, day, day)
    if not found:
        raise Refused(f"bars: expected dates with a session of {CALENDAR}, got {day}")
    return found[0]
