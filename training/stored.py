"""A stored event, and how the rows of the archive's tables become events again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from stream.events import (
    Bar,
    ClockTick,
    CorporateAction,
    Instrument,
    MarketPane,
    PaneEnd,
    SentimentScored,
    Tick,
)


class Stored(NamedTuple):
    """One event as it came in; `at_us` is its Kafka timestamp, `offset` that in its topic."""

    event: msgspec.Struct
    offset: int
    at_us: int


class Source(NamedTuple):
    """A table, and the event of a row: `columns` are the arguments of `event`, in order."""

    table: str
    columns: str
    event: Callable[..., msgspec.Struct]
    where: str = "true"


def _source(
    table: str,
    kind: type[msgspec.Struct],
    event: Callable[..., msgspec.Struct] | None = None,
    where: str = "true",
    **renamed: str,
) -> Source:
    fields = kind.__struct_fields__
    columns = ", ".join(f'"{renamed.get(field, field)}"' for field in fields)

    def by_name(*values: Any) -> msgspec.Struct:
        return kind(**dict(zip(fields, values, strict=True)))

    return Source(table, columns, event or by_name, where)


def _tick(
    symbol: str, ts: datetime, price: float, size: float, bid: float | None, ask: float | None,
    bid_size: float | None, ask_size: float | None, conditions: str, exchange: str, regular: bool,
    seq: int | None,
) -> Tick:  # fmt: skip
    """Written out, because there are millions: it takes a tenth of the time of `by_name`."""
    return Tick(
        symbol=symbol, ts=ts, price=price, size=size, bid=bid, ask=ask, bid_size=bid_size,
        ask_size=ask_size, conditions=conditions, exchange=exchange, regular=regular, seq=seq,
    )  # fmt: skip


def _instrument(symbol: str, company: str, aliases: list[str], *rest: Any) -> Instrument:
    values = (symbol, company, tuple(aliases), *rest)
    return Instrument(**dict(zip(Instrument.__struct_fields__, values, strict=True)))


def _market_pane(*values: Any) -> MarketPane:
    columns = dict(zip(MarketPane.__struct_fields__, values, strict=True))
    return msgspec.convert(columns, MarketPane)


def _pane_end(*values: Any) -> PaneEnd:
    return msgspec.convert(dict(zip(PaneEnd.__struct_fields__, values, strict=True)), PaneEnd)


TAPES = {
    "ticks": _source("ticks", Tick, _tick),
    "bars": _source("bars", Bar, where="origin = 'bar'", start="bar_start", end="bar_end"),
}
CLOCK = _source("clock", ClockTick)
SENTIMENT = _source("sentiments", SentimentScored)
ACTIONS = _source("actions", CorporateAction)
MARKET = _source("market_panes", MarketPane, _market_pane, end="interval_end")
PANE_ENDS = _source(
    "pane_ends", PaneEnd, _pane_end, partition="source_partition", end="interval_end"
)
INSTRUMENTS = _source("instruments", Instrument, _instrument)
