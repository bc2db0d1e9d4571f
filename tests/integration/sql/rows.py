"""Rows with visible defaults, put in without COPY, which the community edition's server lacks."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

Row = dict[str, Any]
T0 = datetime(2024, 3, 5, 14, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
_offsets = itertools.count()


def at(minutes: float) -> datetime:
    """`minutes` after T0."""
    return T0 + minutes * MINUTE


def connect(dsn: str, schema: str) -> psycopg.Connection:
    """An autocommit connection into `schema`, its session far from UTC."""
    connection = psycopg.connect(dsn, autocommit=True)
    connection.execute(
        sql.SQL("SET search_path = {}, public; SET timezone = 'America/New_York'").format(
            sql.Identifier(schema)
        )
    )
    return connection


def insert(connection: psycopg.Connection, table: str, rows: Iterable[Row]) -> None:
    """Insert rows given by column; what is left out is NULL."""
    plain = [
        {k: v.isoformat() if isinstance(v, datetime) else v for k, v in row.items()} for row in rows
    ]
    connection.execute(
        sql.SQL("INSERT INTO {0} SELECT * FROM jsonb_populate_recordset(NULL::{0}, %s)").format(
            sql.Identifier(table)
        ),
        [Jsonb(plain)],
    )


def call(connection: psycopg.Connection, function: str, *arguments: Any) -> list[Row]:
    """Rows of a set-returning function, in its own order."""
    marks = sql.SQL(", ").join(sql.Placeholder() for _ in arguments)
    query = sql.SQL("SELECT * FROM {}({})").format(sql.Identifier(function), marks)
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, arguments).fetchall()


def place(kafka_ts: datetime, topic_id: str = "t1", offset: int | None = None) -> Row:
    """Where the record lies; offsets go up with every call."""
    own = next(_offsets) if offset is None else offset
    return {"kafka_ts": kafka_ts, "topic_id": topic_id, "partition": 0, "offset": own}


def tick(symbol: str, ts: datetime, price: float, **more: Any) -> Row:
    """A trade of 100, in the log at its time."""
    given = {"symbol": symbol, "ts": ts, "price": price, "size": 100.0, "conditions": "",
             "exchange": "", "regular": True}  # fmt: skip
    return {**given, **place(ts), **more}


def bar(symbol: str, end: datetime, close: float, **more: Any) -> Row:
    """A minute's bar that came in."""
    given = {"origin": "bar", "symbol": symbol, "bar_start": end - MINUTE, "bar_end": end,
             "open": close, "high": close, "low": close, "close": close, "volume": 1.0}  # fmt: skip
    return {**given, **place(end), **more}


def article(id: str, published_at: datetime, **more: Any) -> Row:
    """A first revision that names no symbol."""
    given = {"id": id, "source": "wire", "published_at": published_at, "headline": f"of {id}",
             "revision": 1, "status": "published", "body": "", "url": "", "symbols": [],
             "lang": "en"}  # fmt: skip
    return {**given, **place(published_at), **more}


def score(article_id: str, symbol: str, available_at: datetime, **more: Any) -> Row:
    """The lexicon's score of a first revision published a minute before."""
    given = {"article_id": article_id, "revision": 1, "status": "published", "symbol": symbol,
             "source": "wire", "published_at": available_at - MINUTE, "available_at": available_at,
             "scored_at": available_at, "negative": 0.1, "neutral": 0.2, "positive": 0.7,
             "relevance": 1.0, "model": "lexicon", "text_hash": "h", "headline": "h", "n_chars": 9,
             "duplicate": False, "assumed_times": False, "sketch": ""}  # fmt: skip
    return {**given, **place(available_at), **more}


def signal(signal_key: str, symbol: str, as_of: datetime, **more: Any) -> Row:
    """A bullish signal's first revision."""
    offset = next(_offsets)
    given = {"signal_id": f"s{offset}", "signal_key": signal_key, "revision": 1, "symbol": symbol,
             "as_of": as_of, "valid_until": as_of + 30 * MINUTE, "horizon": "30m",
             "trigger": "news", "trigger_ref": "r", "direction": "BULLISH", "p_bearish": 0.1,
             "p_neutral": 0.2, "p_bullish": 0.7, "confidence": 0.7, "score": 0.6,
             "actionable": True, "model_name": "rules", "model_version": "1",
             "model_role": "rules", "feature_set": "intraday", "feature_set_version": 1,
             "policy_id": "p", "build": "b", "features": [], "reasons": [], "evidence": [],
             "sentiment_models": [], "positions": {}, "set_off_by": "ticks",
             "emitted_at": as_of}  # fmt: skip
    return {**given, **place(as_of, offset=offset), **more}
