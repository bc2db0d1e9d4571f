"""Which table an event's row goes to, and the row: pure, one function a table.

A row holds the values of its table's own columns as `wire` writes them; the four columns of the
record's place follow (`PLACE`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

import msgspec

from stream import events
from stream.archive.wire import (
    COPY_TYPES,
    day,
    floats,
    int4,
    int8,
    jsonb,
    kafka_time_us,
    optional_time_us,
    texts,
    time_us,
)
from stream.engine.deadletters import letter_of
from stream.engine.step import Record
from stream.errors import Rejected

Row = tuple[Any, ...]
# The names of a feature set's values, in order: given (set, version) and a signal's own names.
NamesOf = Callable[[tuple[str, int], tuple[str, ...]], tuple[str, ...]]

PLACE = "kafka_ts:time topic_id:text partition:int4 offset:int8"
_MARKET_KEY = events.MARKET_KEY.encode()
# PostgreSQL's text cannot hold NUL; JSON's can. An even run of backslashes before it is text.
_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")


class Table(NamedTuple):
    """A table as COPY fills it: column names and COPY types, the place included."""

    name: str
    columns: tuple[str, ...]
    types: tuple[str, ...]


def _table(name: str, columns: str) -> Table:
    pairs = [column.split(":") for column in f"{columns} {PLACE}".split()]
    return Table(name, tuple(c for c, _ in pairs), tuple(COPY_TYPES[kind] for _, kind in pairs))


TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        _table(
            "instruments",
            "symbol:text company:text aliases:texts sector:text calendar:text "
            "listed_from:date listed_to:date",
        ),
        _table(
            "news",
            "id:text source:text published_at:time headline:text revision:int4 status:text "
            "received_at:time body:text url:text symbols:texts lang:text",
        ),
        _table(
            "sentiments",
            "article_id:text revision:int4 status:text symbol:text source:text "
            "published_at:time available_at:time scored_at:time "
            "negative:float neutral:float positive:float relevance:float model:text "
            "text_hash:text headline:text n_chars:int8 duplicate:bool assumed_times:bool "
            "sketch:bytes",
        ),
        _table(
            "ticks",
            "symbol:text ts:time price:float size:float bid:float ask:float bid_size:float "
            "ask_size:float conditions:text exchange:text regular:bool seq:int8",
        ),
        _table(
            "bars",
            "origin:text symbol:text bar_start:time bar_end:time open:float high:float low:float "
            "close:float volume:float adj_close:float vwap:float n_trades:int8 notional:float "
            "signed_volume:float",
        ),
        _table(
            "context",
            "symbol:text source:text metric:text value:float ts:time received_at:time",
        ),
        _table(
            "market_panes",
            "interval_end:time n_partitions:int8 n_symbols:int8 benchmark:float "
            "benchmark_symbol:text mean:float spread:float breadth:float sectors:json ranked:json",
        ),
        _table(
            "pane_ends",
            "interval_end:time source_partition:int8 names:texts symbols:json more:bool",
        ),
        _table("actions", "symbol:text kind:text ex_date:date value:float announced_at:time"),
        _table("clock", "kind:text at:time calendar:text session:date"),
        _table(
            "signals",
            "signal_id:text signal_key:text revision:int4 symbol:text as_of:time valid_until:time "
            "horizon:text trigger:text trigger_ref:text direction:text p_bearish:float "
            "p_neutral:float p_bullish:float confidence:float score:float "
            "expected_return_bps:float actionable:bool abstain_reason:text model_name:text "
            "model_version:text model_role:text feature_set:text feature_set_version:int4 "
            "policy_id:text build:text features:floats features_by_name:json reasons:texts "
            "evidence:texts sentiment_models:texts positions:json set_off_by:text "
            "last_tick_age_s:float last_news_age_s:float model_age_s:float emitted_at:time",
        ),
        _table(
            "signal_explanations",
            "signal_id:text signal_key:text revision:int4 symbol:text as_of:time "
            "model_version:text base:float log_odds:float contributions:json reason:text",
        ),
        _table(
            "late_events",
            "source_topic:text source_partition:int4 source_offset:int8 symbol:text ts:time "
            "late_by_s:float reason:text payload:text",
        ),
        _table(
            "dead_letters",
            "role:text source_topic:text source_partition:int4 source_offset:int8 "
            "source_kafka_ts:time reason:text key:bytes payload:bytes n_bytes:int8",
        ),
    )
}
TABLES["shadow_signals"] = TABLES["signals"]._replace(name="shadow_signals")


def _instrument(e: events.Instrument) -> Row:
    aliases, listed = texts(e.aliases), (day(e.listed_from), day(e.listed_to))
    return (e.symbol, e.company, aliases, e.sector, e.calendar, *listed)


def _news(e: events.NewsArticle) -> Row:
    return (
        e.id, e.source, time_us(e.published_at), e.headline, e.revision, e.status,
        optional_time_us(e.received_at), e.body, e.url, texts(e.symbols), e.lang,
    )  # fmt: skip


def _sentiment(e: events.SentimentScored) -> Row:
    return (
        e.article_id, e.revision, e.status, e.symbol, e.source, time_us(e.published_at),
        time_us(e.available_at), time_us(e.scored_at), e.negative, e.neutral, e.positive,
        e.relevance, e.model, e.text_hash, e.headline, int8(e.n_chars, "n_chars"), e.duplicate,
        e.assumed_times, e.sketch,
    )  # fmt: skip


def _tick(e: events.Tick) -> Row:
    return (
        e.symbol, time_us(e.ts), e.price, e.size, e.bid, e.ask, e.bid_size, e.ask_size,
        e.conditions, e.exchange, e.regular, int8(e.seq, "seq"),
    )  # fmt: skip


def _bar(e: events.Bar) -> Row:
    return (
        "bar", e.symbol, time_us(e.start), time_us(e.end), e.open, e.high, e.low, e.close,
        e.volume, e.adj_close, e.vwap, int8(e.n_trades, "n_trades"), None, None,
    )  # fmt: skip


def _pane(e: events.PaneClosed) -> Row:
    return (
        "pane", e.symbol, time_us(e.start), time_us(e.end), e.open, e.high, e.low, e.close,
        e.volume, None, None, int8(e.n_trades, "n_trades"), e.notional, e.signed_volume,
    )  # fmt: skip


def _observation(e: events.Observation) -> Row:
    times = time_us(e.ts), optional_time_us(e.received_at)
    return (e.symbol, e.source, e.metric, e.value, *times)


def _action(e: events.CorporateAction) -> Row:
    return (e.symbol, e.kind, day(e.ex_date), e.value, time_us(e.announced_at))


def _pane_end(e: events.PaneEnd) -> Row:
    partition = int8(e.partition, "partition")
    return (time_us(e.end), partition, texts(e.names), jsonb(e.symbols), e.more)


def _market_pane(e: events.MarketPane) -> Row:
    counts = int8(e.n_partitions, "n_partitions"), int8(e.n_symbols, "n_symbols")
    moved = e.benchmark, e.benchmark_symbol, e.mean, e.spread, e.breadth
    return (time_us(e.end), *counts, *moved, jsonb(e.sectors), jsonb(e.ranked))


def _clock(e: events.ClockTick) -> Row:
    return (e.kind, time_us(e.at), e.calendar, day(e.session))


def _signal(e: events.Signal, names_of: NamesOf) -> Row:
    own = tuple(e.features)
    version = int4(e.feature_set_version, "feature_set_version")
    named = None if names_of((e.feature_set, version), own) == own else jsonb(e.features)
    p, model, fresh = e.probabilities, e.model, e.freshness
    return (
        e.signal_id, e.signal_key, e.revision, e.symbol, time_us(e.as_of), time_us(e.valid_until),
        e.horizon, e.trigger, e.trigger_ref, e.direction, p.bearish, p.neutral, p.bullish,
        e.confidence, e.score, e.expected_return_bps, e.actionable, e.abstain_reason, model.name,
        model.version, model.role, e.feature_set, version, e.policy_id, e.build,
        floats(tuple(e.features.values())), named, texts(e.reasons), texts(e.evidence),
        texts(e.sentiment_models), jsonb(e.positions), e.set_off_by, fresh.last_tick_age_s,
        fresh.last_news_age_s, fresh.model_age_s, time_us(e.emitted_at),
    )  # fmt: skip


def _explanation(e: events.SignalExplained) -> Row:
    return (
        e.signal_id, e.signal_key, e.revision, e.symbol, time_us(e.as_of), e.model_version, e.base,
        e.log_odds, jsonb(e.contributions), e.reason,
    )  # fmt: skip


def _late_event(e: events.LateEvent) -> Row:
    source = e.topic, int4(e.partition, "partition"), int8(e.offset, "offset")
    return (*source, e.symbol, time_us(e.ts), e.late_by_s, e.reason, e.payload)


def _dead_letter(e: events.DeadLetter) -> Row:
    source = e.topic, int4(e.partition, "partition"), int8(e.offset, "offset")
    times = (time_us(e.kafka_ts),)
    return (e.role, *source, *times, e.reason, e.key, e.payload, int8(e.n_bytes, "n_bytes"))


_ROWS: Mapping[str, tuple[str, type[Any], Callable[..., Row]]] = {
    "news": ("news", events.NewsArticle, _news),
    "ticks": ("ticks", events.Tick, _tick),
    "bars": ("bars", events.Bar, _bar),
    "context": ("context", events.Observation, _observation),
    "actions": ("actions", events.CorporateAction, _action),
    "instruments": ("instruments", events.Instrument, _instrument),
    "sentiment": ("sentiments", events.SentimentScored, _sentiment),
    "panes": ("bars", events.PaneClosed, _pane),
    "pane-ends": ("pane_ends", events.PaneEnd, _pane_end),
    "market": ("market_panes", events.MarketPane, _market_pane),
    "signals": ("signals", events.Signal, _signal),
    "signal-explanations": ("signal_explanations", events.SignalExplained, _explanation),
    "shadow-signals": ("shadow_signals", events.Signal, _signal),
    "late-events": ("late_events", events.LateEvent, _late_event),
    "dead-letters": ("dead_letters", events.DeadLetter, _dead_letter),
}
# The logical topics that have a table.
ARCHIVED = tuple(_ROWS)
# Of those, what another role reads besides: it writes the dead letters. The tape is one more.
READ_ELSEWHERE = frozenset(
    {"news", "sentiment", "actions", "instruments", "signals", "pane-ends", "market"}
)
_TAPES = ("ticks", "bars")
_UNREADABLE = (Rejected, msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError)


def read_rows(
    topic: str,
    topic_id: str,
    records: Iterable[Record],
    names_of: NamesOf,
    into: dict[str, list[Row]],
    *,
    bury: bool = False,
) -> int:
    """Append each record's row to its table's list in `into`; return how many were unreadable.

    NUL, which PostgreSQL's text cannot hold, becomes U+FFFD.

    Parameters
    ----------
    topic : logical name ("ticks"), one of `ARCHIVED`
    topic_id : identity of the topic, the same for all its partitions
    names_of : see `NamesOf`; asked once a signal
    bury : keep an unreadable record as a dead letter, because no other role does
    """
    table, kind, row_of = _ROWS[topic]
    if kind is events.Signal:
        row_of = partial(row_of, names_of=names_of)
    is_tape = topic in _TAPES
    rows, n_rejected = into.setdefault(table, []), 0
    for record in records:
        try:
            raw = record.value
            if raw is None:
                raise Rejected(f"{topic}: expected a {kind.__name__}, got no value")
            if b"\\u0000" in raw:
                raw = _NUL.sub(rb"\1\\ufffd", raw)
            if is_tape and record.key == _MARKET_KEY:
                own = _clock(events.decode(events.ClockTick, raw))
                target = into.setdefault("clock", [])
            else:
                own = row_of(events.decode(kind, raw))
                target = rows
        except _UNREADABLE as error:
            n_rejected += 1
            if bury:
                letters = into.setdefault("dead_letters", [])
                letters.append(letter_row(topic, topic_id, record, str(error)))
            continue
        target.append(own + _place(topic_id, record))
    return n_rejected


def letter_row(topic: str, topic_id: str, record: Record, reason: str) -> Row:
    """The row of a record that archive itself refuses; its place is the record's own."""
    letter = letter_of("archive", topic, record, reason)
    return _dead_letter(letter) + _place(topic_id, record)


def _place(topic_id: str, record: Record) -> Row:
    return kafka_time_us(record.timestamp), topic_id, record.partition, record.offset
