"""Readers of the tape's files: CSV rows to trades and daily bars, in the order of the files."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path
from typing import IO, cast

from stream.clock.calendar import Session, sessions
from stream.datasets.dataset import Timed
from stream.errors import Refused
from stream.events import EPOCH, Bar, Tick, encode, moment

TRADE_COLUMNS = ("symbol", "ts_ms", "price", "size")
BAR_COLUMNS = ("symbol", "date", "open", "high", "low", "close", "volume")
_DAY_MS = 86_400_000
_ONE_DAY = timedelta(days=1)

Lines = Iterable[str]
CalendarOf = Callable[[str], str]


def open_text(path: Path) -> IO[str]:
    """The file's text; one that ends in .gz is unpacked on the way."""
    if path.suffix == ".gz":
        return cast(IO[str], gzip.open(path, "rt", encoding="utf-8", newline=""))
    return path.open(encoding="utf-8", newline="")


def read_trades(path: Path, lines: Lines, calendar_of: CalendarOf) -> Iterator[Timed]:
    """Trades of one file, which must be sorted by ts_ms.

    A trade is regular inside its calendar's session, open <= ts < close, unless `suspicious` is 1.

    Raises
    ------
    Refused
        Names file, line, and what was expected there.
    """
    reader = csv.reader(lines)
    column = _columns(path, reader, TRADE_COLUMNS)
    i_symbol, i_ts, i_price, i_size = (column[name] for name in TRADE_COLUMNS)
    i_exchange, i_cond, i_suspicious = map(column.get, ("exchange", "cond", "suspicious"))
    last = day = -1
    windows: dict[str, tuple[tuple[int, int], ...]] = {}
    try:
        for row in reader:
            ts_ms = int(row[i_ts])
            if ts_ms < last:
                raise ValueError(f"expected rows sorted by ts_ms, got {ts_ms} after {last}")
            last = ts_ms
            if ts_ms // _DAY_MS != day:
                day = ts_ms // _DAY_MS
                windows.clear()
            symbol = row[i_symbol]
            window = windows.get(symbol)
            if window is None:
                window = windows[symbol] = _open_hours_ms(calendar_of(symbol), day)
            regular = False
            for opens, closes in window:
                if opens <= ts_ms < closes:
                    regular = i_suspicious is None or row[i_suspicious] != "1"
            tick = Tick(
                symbol=symbol,
                ts=EPOCH + timedelta(milliseconds=ts_ms),
                price=float(row[i_price]),
                size=float(row[i_size]),
                conditions="" if i_cond is None else row[i_cond],
                exchange="" if i_exchange is None else row[i_exchange],
                regular=regular,
            )
            yield Timed("ticks", ts_ms * 1000, symbol.encode(), encode(tick))
    except (ValueError, IndexError, OverflowError, csv.Error) as error:
        raise _unreadable(path, reader.line_num, error) from None


def read_bars(path: Path, lines: Lines, calendar_of: CalendarOf) -> Iterator[Timed]:
    """Daily bars of one file, which must be sorted by date; each is known at its session's close.

    Bars of one date come out by their close, then in the file's order. Raises Refused as
    `read_trades` does, also for a date on which the symbol's calendar has no session.
    """
    reader = csv.reader(lines)
    column = _columns(path, reader, BAR_COLUMNS)
    i_symbol, i_date, i_open, i_high, i_low, i_close, i_volume = (column[n] for n in BAR_COLUMNS)
    i_adjusted = column.get("adj_close")
    day = ""
    of_day: list[Timed] = []
    try:
        for row in reader:
            if row[i_date] != day:
                if row[i_date] < day:
                    raise ValueError(f"expected rows sorted by date, got {row[i_date]} after {day}")
                yield from _by_time(of_day)
                day, of_day = row[i_date], []
            symbol = row[i_symbol]
            session = _session(calendar_of(symbol), date.fromisoformat(day))
            adjusted = "" if i_adjusted is None else row[i_adjusted]
            opened, closed = float(row[i_open]), float(row[i_close])
            bar = Bar(
                symbol=symbol,
                start=moment(session.open),
                end=moment(session.close),
                open=opened,
                high=max(float(row[i_high]), opened, closed),  # rounded columns can cross
                low=min(float(row[i_low]), opened, closed),
                close=closed,
                volume=float(row[i_volume]),
                adj_close=float(adjusted) if adjusted else None,
            )
            of_day.append(Timed("bars", session.close, symbol.encode(), encode(bar)))
    except (ValueError, IndexError, csv.Error) as error:
        raise _unreadable(path, reader.line_num, error) from None
    yield from _by_time(of_day)


def ends_of(path: Path) -> list[str]:
    """Header, first and last row of a file, without parsing those in between."""
    with open_text(path) as text:
        ends = [line for line, _ in zip(text, range(2), strict=False)]
        last = ""
        while block := text.read(1 << 20):
            last = (last + block)[-100_000:]
    if last.strip():
        ends.append(last.rstrip().rpartition("\n")[2])
    return ends


def _columns(path: Path, reader: Iterator[list[str]], needed: Sequence[str]) -> dict[str, int]:
    header = next(reader, [])
    missing = [name for name in needed if name not in header]
    if missing:
        raise Refused(
            f"{path}: expected columns {', '.join(needed)}; got {', '.join(header) or 'none'}, "
            f"without {', '.join(missing)}"
        )
    return {name: i for i, name in enumerate(header)}


def _unreadable(path: Path, line: int, error: Exception) -> Refused:
    why = "fewer columns than the header has" if isinstance(error, IndexError) else error
    return Refused(f"{path}, line {line}: {why}")


def _by_time(events: list[Timed]) -> list[Timed]:
    return sorted(events, key=lambda timed: timed.at)


def _open_hours_ms(calendar: str, day: int) -> tuple[tuple[int, int], ...]:
    """Sessions that touch the UTC day with number `day` since 1970, in milliseconds."""
    at = (EPOCH + timedelta(days=day)).date()
    return tuple(
        (s.open // 1000, s.close // 1000)
        for s in sessions(calendar, at - _ONE_DAY, at + _ONE_DAY)
        if s.open // 1000 < (day + 1) * _DAY_MS and s.close // 1000 > day * _DAY_MS
    )


@lru_cache(maxsize=4096)
def _session(calendar: str, day: date) -> Session:
    found = sessions(calendar, day, day)
    if not found:
        raise ValueError(f"expected a date with a session of {calendar}, got {day}")
    return found[0]
