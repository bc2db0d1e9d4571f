"""What `sql/005_known_at.sql` must answer, by plain loops over all rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import reduce
from itertools import groupby
from math import log
from operator import add
from typing import Any

Row = dict[str, Any]
GRID = datetime(2000, 1, 3, tzinfo=UTC)


def place(row: Row) -> tuple[Any, ...]:
    return row["kafka_ts"], row["topic_id"], row["partition"], row["offset"]


def prices(ticks: Iterable[Row], bars: Iterable[Row], symbol: str) -> list[Row]:
    """In time order; the log's among trades of one time, and a trade after a bar of its time."""
    found = [
        {"ts": k["ts"], "price": k["price"], "kafka_ts": k["kafka_ts"], "order": (1, *place(k))}
        for k in ticks
        if k["symbol"] == symbol
    ]
    found += [
        {"ts": b["bar_end"], "price": b["close"], "kafka_ts": b["kafka_ts"],
         "order": (0, *place(b))}
        for b in bars
        if b["symbol"] == symbol and b["origin"] == "bar"
    ]  # fmt: skip
    return sorted(found, key=lambda p: (p["ts"], p["order"]))


def asof_price(known: Sequence[Row], t: datetime) -> list[Row]:
    for p in reversed(known):
        if p["ts"] <= t and p["kafka_ts"] <= t:
            return [{"price": p["price"], "ts": p["ts"], "age": t - p["ts"]}]
    return []


def available(article: Row) -> datetime:
    received = article["received_at"] or article["kafka_ts"]
    return max(article["published_at"], received)


def sentiment_known_at(
    scores: Iterable[Row], symbol: str, t: datetime, lookback: timedelta
) -> list[tuple[str, str, int, datetime]]:
    """(article, model, revision, available_at) of the scores that stood."""
    by_article = defaultdict(list)
    for s in scores:
        if s["symbol"] == symbol and s["available_at"] <= t:
            by_article[s["article_id"]].append(s)
    found = []
    for rows in by_article.values():
        highest = max(s["revision"] for s in rows)
        first: dict[str, Row] = {}
        for s in sorted(rows, key=lambda s: (s["available_at"], place(s))):
            if s["revision"] == highest:
                first.setdefault(s["model"], s)
        for s in first.values():
            if s["status"] != "retracted" and s["published_at"] > t - lookback:
                found.append((s["article_id"], s["model"], s["revision"], s["available_at"]))
    return sorted(found, key=lambda f: (-f[3].timestamp(), f[0], f[1]))


def news_known_at(
    articles: Iterable[Row], scores: Iterable[Row], symbol: str, t: datetime, lookback: timedelta
) -> list[tuple[str, int, datetime]]:
    """(id, revision, available_at) of the revisions that stood."""
    scored = {found[0] for found in sentiment_known_at(scores, symbol, t, lookback)}
    by_id = defaultdict(list)
    for n in articles:
        if available(n) <= t:
            by_id[n["id"]].append(n)
    stood = [min(rows, key=lambda n: (-n["revision"], available(n), place(n)))
             for rows in by_id.values()]  # fmt: skip
    found = [
        n
        for n in stood
        if n["status"] != "retracted"
        and n["published_at"] > t - lookback
        and (symbol in n["symbols"] or n["id"] in scored)
    ]
    found.sort(
        key=lambda n: (-n["published_at"].timestamp(), -available(n).timestamp(), n["id"]),
    )
    return [(n["id"], n["revision"], available(n)) for n in found]


def signals_known_at(signals: Iterable[Row], t: datetime) -> dict[str, str]:
    """The signal id that stood, by symbol."""
    by_key = defaultdict(list)
    for s in signals:
        if s["as_of"] <= t:
            by_key[s["symbol"], s["signal_key"]].append(s)
    newest: dict[str, Row] = {}
    for rows in by_key.values():
        highest = max(s["revision"] for s in rows)
        for s in rows:
            old = newest.get(s["symbol"])
            if s["revision"] == highest and (
                old is None or (s["as_of"], place(s)) > (old["as_of"], place(old))
            ):
                newest[s["symbol"]] = s
    return {symbol: s["signal_id"] for symbol, s in newest.items()}


def bars(
    ticks: Iterable[Row], symbol: str, width: timedelta, since: datetime, until: datetime
) -> list[Row]:
    buckets = defaultdict(list)
    for k in ticks:
        if k["symbol"] == symbol:
            buckets[GRID + (k["ts"] - GRID) // width * width].append(k)
    found = []
    for start in sorted(buckets):
        if start < since or start + width > until:
            continue
        inside = buckets[start]
        topics = {k["topic_id"] for k in inside}
        age = {i: min(k["kafka_ts"] for k in inside if k["topic_id"] == i) for i in topics}
        inside.sort(key=lambda k: (age[k["topic_id"]], k["topic_id"], k["offset"]))
        parts = [list(of_one) for _, of_one in groupby(inside, key=lambda k: k["topic_id"])]
        volume = added(added(k["size"] for k in part) for part in parts)
        notional = added(added(k["price"] * k["size"] for k in part) for part in parts)
        found.append(
            {
                "bar_start": start,
                "bar_end": start + width,
                "open": inside[0]["price"],
                "high": max(k["price"] for k in inside),
                "low": min(k["price"] for k in inside),
                "close": inside[-1]["price"],
                "volume": volume,
                "n_trades": len(inside),
                "vwap": notional / volume if volume else None,
            }
        )
    return found


def added(values: Iterable[float]) -> float:
    """One after the other: Python's own sum compensates from 3.12 on."""
    return reduce(add, values)


def with_return(known: Sequence[Row], as_of: datetime, holding: timedelta) -> tuple[Any, ...]:
    """(entry_at, entry_price, exit_at, exit_price, return_bps)."""
    due = as_of + holding
    held = [p for p in known if as_of < p["ts"] <= due]
    if not held:
        return None, None, None, None, None
    first = held[0]["ts"]
    # at one time trades go before bars, and the log's first before its last
    entry = min((p for p in held if p["ts"] == first), key=lambda p: (-p["order"][0], p["order"]))
    if known[-1]["ts"] < due:
        return entry["ts"], entry["price"], None, None, None
    last = held[-1]
    bps = 1e4 * log(last["price"] / entry["price"])
    return entry["ts"], entry["price"], last["ts"], last["price"], bps
