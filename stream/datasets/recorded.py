"""Readers of recorded datasets; the formats are described in docs/datasets.md."""

from __future__ import annotations

import csv
import gzip
import heapq
from collections import deque
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec

from stream.clock.calendar import Session, sessions
from stream.datasets.dataset import Dataset, Timed
from stream.errors import Refused
from stream.events import Bar, Instrument, Tick, Time, encode, micros, moment

CALENDAR = "XNYS"
NEWS = "news.jsonl.gz"
BARS = "bars.csv.gz"
TRADES = "trades-*.csv.gz"
_BAR_COLUMNS = ("symbol", "date", "open", "high", "low", "close", "volume")
_TRADE_COLUMNS = ("symbol", "ts_ms", "price", "size")
_FEED_DELAY_US = 60_000_000
_DAY_US = 86_400_000_000


def open_dataset(folder: Path, feed_delay_us: int = _FEED_DELAY_US) -> Dataset:
    """The dataset in `folder`.

    Parameters
    ----------
    feed_delay_us : how long after `published_at` an article without `received_at` was available.

    Raises
    ------
    Refused
        The folder holds neither format, or a file lacks a column.
    """
    folder = folder.expanduser()
    trades = sorted(folder.glob(TRADES)) if folder.is_dir() else []
    if trades:
        return _ticks(folder, trades, feed_delay_us)
    if (folder / BARS).is_file():
        return _bars(folder, feed_delay_us)
    raise Refused(
        f"{folder}: expected {BARS} (daily) or {TRADES} (intraday), with {NEWS} beside it for "
        "news; found neither. The formats are described in docs/datasets.md"
    )


def _bars(folder: Path, feed_delay_us: int) -> Dataset:
    rows = list(_rows(folder / BARS, _BAR_COLUMNS))
    if not rows:
        raise Refused(f"{folder / BARS}: expected at least one bar, found none")
    days = sorted({row["date"] for row in rows})
    first, last = date.fromisoformat(days[0]), date.fromisoformat(days[-1])
    known = {s.day.isoformat(): s for s in sessions(CALENDAR, first, last)}
    bars = sorted(
        (_bar(row, known) for row in rows if row["date"] in known),
        key=lambda timed: (timed.at, timed.key),
    )
    if not bars:
        raise Refused(f"{folder / BARS}: expected dates of {CALENDAR} sessions, found none")
    news = _news(folder, feed_delay_us)

    def events() -> Iterator[Timed]:
        return heapq.merge(news, bars, key=lambda timed: timed.at)

    span = _span(bars[0], bars[-1], news)
    return Dataset(folder.name, "daily", "bars", span, _instruments(folder, rows), events)


def _bar(row: dict[str, str], known: dict[str, Session]) -> Timed:
    session = known[row["date"]]
    open_, close = float(row["open"]), float(row["close"])
    adjusted = row.get("adj_close")
    bar = Bar(
        symbol=row["symbol"],
        start=moment(session.open),
        end=moment(session.close),
        open=open_,
        high=max(float(row["high"]), open_, close),  # rounded columns can cross by a tick
        low=min(float(row["low"]), open_, close),
        close=close,
        volume=float(row["volume"]),
        adj_close=float(adjusted) if adjusted else None,
    )
    return Timed("bars", session.close, bar.symbol.encode(), encode(bar))


def _ticks(folder: Path, files: list[Path], feed_delay_us: int) -> Dataset:
    first = next(_trades(files[0]), None)
    last = deque(_trades(files[-1]), maxlen=1)
    if first is None or not last:
        raise Refused(f"{folder}: expected trades in {files[0].name} and {files[-1].name}")
    news = _news(folder, feed_delay_us)

    def events() -> Iterator[Timed]:
        tape = (timed for file in files for timed in _trades(file))
        return heapq.merge(news, tape, key=lambda timed: timed.at)

    span = _span(first, last[0], news)
    return Dataset(folder.name, "intraday", "ticks", span, _instruments(folder, []), events)


def _trades(file: Path) -> Iterator[Timed]:
    """Ticks of one file, in its order."""
    with gzip.open(file, "rt", encoding="utf-8", newline="") as lines:
        reader = csv.reader(lines)
        header = next(reader, [])
        _check_columns(file, header, _TRADE_COLUMNS)
        i_symbol, i_ts, i_price, i_size = (header.index(name) for name in _TRADE_COLUMNS)
        i_cond = header.index("cond") if "cond" in header else None
        i_exchange = header.index("exchange") if "exchange" in header else None
        day, opened, closed = -1, 0, 0
        for row in reader:
            ts = int(row[i_ts]) * 1000
            if ts // _DAY_US != day:
                day = ts // _DAY_US
                opened, closed = _hours(moment(ts).date())
            tick = Tick(
                symbol=row[i_symbol],
                ts=moment(ts),
                price=float(row[i_price]),
                size=float(row[i_size]),
                conditions="" if i_cond is None else row[i_cond],
                exchange="" if i_exchange is None else row[i_exchange],
                regular=opened <= ts < closed,
            )
            yield Timed("ticks", ts, tick.symbol.encode(), encode(tick))


def _hours(day: date) -> tuple[int, int]:
    """Open and close of the day's session; (0, 0) without one."""
    for session in sessions(CALENDAR, day - timedelta(days=1), day):
        if session.day == day:
            return session.open, session.close
    return 0, 0


class _Stamp(msgspec.Struct):
    """All that the loader must know of an article; the roles judge the rest."""

    id: str
    published_at: Time
    received_at: Time | None = None


def _news(folder: Path, feed_delay_us: int) -> list[Timed]:
    """Articles by availability. Nulls count as absent; the roles refuse what else is wrong."""
    file = folder / NEWS
    if not file.is_file():
        return []
    found = []
    with gzip.open(file, "rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                fields = {k: v for k, v in msgspec.json.decode(line).items() if v is not None}
                stamp = msgspec.convert(fields, _Stamp)
            except (msgspec.DecodeError, AttributeError) as error:
                raise Refused(f"{file} line {number}: {error}") from None
            published = micros(stamp.published_at)
            received = stamp.received_at
            known = published + feed_delay_us if received is None else micros(received)
            raw = msgspec.json.encode(fields)
            found.append(Timed("news", max(published, known), stamp.id.encode(), raw))
    found.sort(key=lambda timed: timed.at)
    return found


def _span(first: Timed, last: Timed, news: list[Timed]) -> tuple[int, int]:
    ends = [first, last, *news[:1], *news[-1:]]
    return min(timed.at for timed in ends), max(timed.at for timed in ends)


def _instruments(folder: Path, rows: list[dict[str, str]]) -> tuple[Instrument, ...]:
    file = folder / "symbols.csv"
    if not file.is_file():
        return tuple(Instrument(symbol=s) for s in sorted({row["symbol"] for row in rows}))
    return tuple(
        Instrument(
            symbol=row["symbol"],
            company=row.get("company", ""),
            sector=row.get("sector", ""),
            calendar=row.get("calendar") or CALENDAR,
        )
        for row in _rows(file, ("symbol",))
    )


def _rows(file: Path, columns: tuple[str, ...]) -> Iterator[dict[str, str]]:
    opener: Any = gzip.open if file.suffix == ".gz" else open
    with opener(file, "rt", encoding="utf-8", newline="") as lines:
        reader = csv.DictReader(lines)
        _check_columns(file, list(reader.fieldnames or ()), columns)
        yield from reader


def _check_columns(file: Path, header: list[str], columns: tuple[str, ...]) -> None:
    if missing := [name for name in columns if name not in header]:
        raise Refused(
            f"{file}: expected columns {', '.join(columns)}, missing {', '.join(missing)}"
        )
