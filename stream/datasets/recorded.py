"""Recorded datasets: folders of files in the formats of docs/datasets.md.

The tape is read as it is asked for, file by file; news are held in memory, by availability.
"""

from __future__ import annotations

import csv
import heapq
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import msgspec

from stream.datasets.dataset import Dataset, Timed
from stream.datasets.tape import Lines, ends_of, open_text, read_bars, read_trades
from stream.errors import Refused
from stream.events import Instrument, Time, decode, encode, micros

CALENDAR = "XNYS"  # of symbols that symbols.csv does not name
FEED_DELAY_US = 60_000_000
_READERS = {"ticks": read_trades, "bars": read_bars}


def open_dataset(folder: Path, feed_delay_us: int = FEED_DELAY_US) -> Dataset:
    """The dataset in `folder`; its format is told by the names of its files.

    Parameters
    ----------
    feed_delay_us : how long after `published_at` an article without `received_at` was available.

    Raises
    ------
    Refused
        Not a folder, no tape in it or two, a missing column, a bad first or last row, a bad line
        in news or symbols. Reading the events raises it for rows in between, with file and line.
    """
    folder = folder.expanduser()
    trades = _present(folder, "trades-*.csv", "trades-*.csv.gz")
    bars = _present(folder, "bars.csv", "bars.csv.gz")
    if bool(trades) == bool(bars) or len(bars) > 1:
        found = ", ".join(path.name for path in (*bars, *trades)) or "neither"
        raise Refused(
            f"{folder}: expected one tape, trades-*.csv[.gz] (intraday) or bars.csv[.gz] (daily), "
            f"found {found}; the formats are described in docs/datasets.md"
        )
    tape: Literal["ticks", "bars"] = "ticks" if trades else "bars"
    files = trades or bars
    news = _read_news(folder, feed_delay_us)
    instruments = tuple(_read_symbols(folder / "symbols.csv"))
    calendars = {one.symbol: one.calendar for one in instruments}
    first = _rows(tape, files[0], ends_of(files[0]), calendars)
    last = _rows(tape, files[-1], ends_of(files[-1]), calendars)
    moments = [timed.at for timed in (*first, *last, *news[:1], *news[-1:])]
    if not moments:
        raise Refused(f"{folder}: expected rows in {files[0].name} and {files[-1].name}")
    span = (min(moments), max(moments))

    def events() -> Iterator[Timed]:
        told = _read_tape(tape, files, calendars)
        return heapq.merge(news, told, key=lambda timed: timed.at) if news else told

    feature_set: Literal["intraday", "daily"] = "intraday" if trades else "daily"
    return Dataset(folder.resolve().name, feature_set, tape, span, instruments, events)


def _present(folder: Path, *patterns: str) -> list[Path]:
    return sorted(path for pattern in patterns for path in folder.glob(pattern))


def _read_tape(
    tape: Literal["ticks", "bars"], files: list[Path], calendars: Mapping[str, str]
) -> Iterator[Timed]:
    reached = last = 0
    for path in files:
        with open_text(path) as lines:
            for timed in _rows(tape, path, lines, calendars):
                if timed.at < reached:
                    raise Refused(f"{path}: expected to go on where the file before it ends")
                last = timed.at
                yield timed
        reached = last


def _rows(
    tape: Literal["ticks", "bars"], path: Path, lines: Lines, calendars: Mapping[str, str]
) -> Iterator[Timed]:
    return _READERS[tape](path, lines, lambda symbol: calendars.get(symbol, CALENDAR))


class _Stamp(msgspec.Struct):
    """All that the loader must know of an article; the roles judge the rest."""

    id: str
    published_at: Time
    received_at: Time | None = None


def _read_news(folder: Path, feed_delay_us: int) -> list[Timed]:
    """Articles by availability. Nulls count as absent; the roles refuse what else is wrong."""
    found = []
    for path in _present(folder, "news.jsonl", "news.jsonl.gz")[:1]:
        with open_text(path) as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    try:
                        found.append(_article(line, feed_delay_us))
                    except (msgspec.DecodeError, AttributeError) as error:
                        raise Refused(f"{path}, line {number}: {error}") from None
    found.sort(key=lambda timed: timed.at)
    return found


def _article(line: str, feed_delay_us: int) -> Timed:
    fields = {k: v for k, v in msgspec.json.decode(line).items() if v is not None}
    stamp = msgspec.convert(fields, _Stamp)
    published, received = micros(stamp.published_at), stamp.received_at
    known = published + feed_delay_us if received is None else max(published, micros(received))
    return Timed("news", known, stamp.id.encode(), msgspec.json.encode(fields))


def _read_symbols(path: Path) -> Iterator[Instrument]:
    if not path.is_file():
        return
    with open_text(path) as lines:
        rows = csv.DictReader(lines)
        header = rows.fieldnames or ()
        if "symbol" not in header:
            raise Refused(f"{path}: expected a column symbol, got {', '.join(header) or 'none'}")
        for row in rows:
            instrument = Instrument(
                symbol=row["symbol"],
                company=row.get("company") or "",
                aliases=tuple(filter(None, (row.get("aliases") or "").split("|"))),
                sector=row.get("sector") or "",
                calendar=row.get("calendar") or CALENDAR,
            )
            try:
                yield decode(Instrument, encode(instrument))
            except msgspec.ValidationError as error:
                raise Refused(f"{path}, line {rows.line_num}: {error}") from None
