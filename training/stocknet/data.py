"""A folder in StockNet's format, read and checked: bars, tweets, labels, symbols."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd

from stream.datasets.tape import open_text
from stream.errors import Refused
from stream.events import NewsArticle, Time

UP, DOWN = 0.0055, -0.005  # the published rule: in between no label
_SAME_PRICE = 1e-3
BAR_COLUMNS = ("symbol", "date", "open", "high", "low", "close", "adj_close", "volume")
LABEL_COLUMNS = ("symbol", "date", "move", "label", "split")


class Tweet(msgspec.Struct, frozen=True):
    """One tweet; `day` is the date from which the protocol lets the next day use it."""

    id: str
    published_at: Time
    headline: str
    symbols: tuple[str, ...]
    day: date
    source: str = "twitter"
    lang: str | None = None
    body: str = ""

    def article(self) -> NewsArticle:
        """As the sentiment role gets it."""
        return NewsArticle(
            id=self.id,
            source=self.source,
            published_at=self.published_at,
            headline=self.headline,
            body=self.body,
            symbols=self.symbols,
            lang=self.lang or "",
        )


@dataclass(frozen=True)
class Folder:
    """All of it. `bars` by date, then symbol; `labels` is empty where the folder has none.

    bars : symbol, date (datetime64), open, high, low, close, adj_close, volume.
    labels : symbol, date, move (fraction), label (1 up, 0 down), split.
    """

    path: Path
    bars: pd.DataFrame
    tweets: tuple[Tweet, ...]
    labels: pd.DataFrame
    sectors: dict[str, str]

    @property
    def last_day(self) -> np.datetime64:
        """Of the bars."""
        return np.datetime64(self.bars["date"].max(), "D")


def joined(known: Folder, later: Folder) -> Folder:
    """Both as one; bars of days that `known` covers are its own, and prices must go on from there.

    Raises Refused where the two adjust a bar that both have differently.
    """
    pairs = known.bars.merge(later.bars, on=["symbol", "date"], suffixes=("", "_later"))
    off = (pairs["adj_close_later"] / pairs["adj_close"] - 1.0).abs() > _SAME_PRICE
    if off.any():
        first = pairs[off].iloc[0]
        raise Refused(
            f"{later.path}: expected the prices of {known.path}, got adj_close "
            f"{first['adj_close_later']:g} for {first['adj_close']:g} of {first['symbol']} on "
            f"{first['date']:%Y-%m-%d}; adjust both folders alike"
        )
    new = later.bars[later.bars["date"] > known.bars["date"].max()]
    bars = pd.concat([known.bars, new], ignore_index=True)
    return Folder(later.path, bars, (*known.tweets, *later.tweets), known.labels,
                  {**known.sectors, **later.sectors})  # fmt: skip


def read_folder(path: Path) -> Folder:
    """The folder's files, plain or gzip'd; labels.csv may be missing.

    Raises
    ------
    Refused
        A file or column is missing, a line cannot be read, a symbol has two bars of one day.
    """
    bars = _table(path, "bars.csv", BAR_COLUMNS)
    bars["date"] = _dates(path, bars)
    bars = bars.sort_values(["date", "symbol"], kind="stable", ignore_index=True)
    twice = bars.duplicated(["date", "symbol"])
    if twice.any():
        first = bars[twice].iloc[0]
        raise Refused(f"{path}: expected one bar a symbol and day, got two of {first['symbol']} "
                      f"on {first['date']:%Y-%m-%d}")  # fmt: skip
    if not len(bars) or not (bars["adj_close"] > 0).all() or not np.isfinite(bars["volume"]).all():
        raise Refused(f"{path}: expected bars with adj_close > 0 and a volume, got others or none")
    symbols = _table(path, "symbols.csv", ("symbol", "sector"))
    has_labels = any((path / name).is_file() for name in ("labels.csv", "labels.csv.gz"))
    if has_labels:
        labels = _table(path, "labels.csv", LABEL_COLUMNS)
        labels["date"] = _dates(path, labels)
    else:
        labels = pd.DataFrame(columns=list(LABEL_COLUMNS))
    return Folder(
        path=path,
        bars=bars,
        tweets=_tweets(_file(path, "news.jsonl")),
        labels=labels,
        sectors=dict(zip(symbols["symbol"], symbols["sector"].fillna(""), strict=True)),
    )


def _file(path: Path, name: str) -> Path:
    for each in (path / name, path / f"{name}.gz"):
        if each.is_file():
            return each
    raise Refused(f"{path}: expected {name} or {name}.gz, found neither; see docs/stocknet.md")


def _table(path: Path, name: str, columns: tuple[str, ...]) -> pd.DataFrame:
    file = _file(path, name)
    try:
        table = pd.read_csv(file, dtype={"symbol": str, "date": str}, keep_default_na=False,
                            na_values=[""])  # fmt: skip
    except (ValueError, OSError) as error:
        raise Refused(f"{file}: expected CSV: {error}") from None
    missing = [each for each in columns if each not in table]
    if missing:
        raise Refused(f"{file}: expected the columns {', '.join(columns)}; "
                      f"{', '.join(missing)} missing")  # fmt: skip
    return table


def _dates(path: Path, table: pd.DataFrame) -> pd.Series:
    try:
        return pd.to_datetime(table["date"], format="%Y-%m-%d")
    except ValueError as error:
        raise Refused(f"{path}: expected dates as YYYY-MM-DD: {error}") from None


def _tweets(file: Path) -> tuple[Tweet, ...]:
    """In order of `day`, then of publication: the order in which the protocol tells them."""
    decoder = msgspec.json.Decoder(Tweet)
    found = []
    with open_text(file) as lines:
        for number, line in enumerate(lines, 1):
            try:
                found.append(decoder.decode(line))
            except msgspec.DecodeError as error:
                raise Refused(f"{file}, line {number}: {error}") from None
    return tuple(sorted(found, key=lambda each: (each.day, each.published_at, each.id)))
