"""Seeded scripts of raw events, and how a symbol's state takes them."""

from __future__ import annotations

import random

from stream.features.news import NewsItem
from stream.features.panes import of_bar
from stream.features.symbol import SymbolState
from stream.features.vector import FEATURE_SETS
from stream.sentiment.sketch import sketch

MINUTE = 60_000_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
T0 = 1_700_000_040_000_000 // DAY * DAY + 14 * HOUR


# Stories told again, cut, tagged, nearly, and in part: so that items are re-prints or kin.
TELLINGS = (
    "Apple beats quarterly estimates, raises full-year outlook to $12 billion",
    "APPLE RAISES FULL-YEAR OUTLOOK TO $12 BILLION; BEATS QUARTERLY ESTIMATES - Reuters",
    "Apple beats quarterly estimates, raises full-year...",
    "Apple beats quarterly estimates, cuts full-year outlook to $12 billion",
    "Apple beats quarterly estimates, raises full-year outlook to $12 billion and plans 3 plants",
    "Judge approves Apple's $200 million settlement with investors",
    "RT @x: Judge approves Apple's $200 million settlement",
    "Apple unveils a new phone",
    "",
)
SKETCHES = tuple(map(sketch, TELLINGS))


def item(article_id="a", *, at=T0, revision=1, status="published", polarity=0.5, source="reuters",
         relevance=1.0, n_chars=100, model="lexicon", sketch=b""):  # fmt: skip
    return NewsItem(
        article_id, revision, status, source, at, polarity, max(0.0, -polarity),
        1 - abs(polarity), max(0.0, polarity), relevance, n_chars, model, sketch,
    )  # fmt: skip


def trade(ts, price=10.0, size=1.0, bid=None, ask=None, regular=True):
    return ("trade", ts, price, size, bid, ask, regular)


def bar(start, end, o, h, low, c, v, adj=None, vwap=None, n=None):
    return ("bar", start, end, o, h, low, c, v, adj, vwap, n)


def news_event(rng, number, now):
    """A new item, a revision of an old one, or a retraction."""
    article_id = f"n{number - rng.randrange(8)}"
    return (
        "news",
        item(
            article_id,
            at=now,
            revision=rng.choice([1, 1, 2, 3]),
            status=rng.choice(["published", "published", "corrected", "retracted"]),
            polarity=rng.choice([-1.0, 0.0, 1.0, rng.uniform(-1, 1)]),
            source=rng.choice(["reuters", "twitter", "blog"]),
            relevance=rng.choice([0.0, 1.0, rng.random()]),
            n_chars=rng.randrange(3000),
            sketch=rng.choice(SKETCHES),
        ),
    )


def ticks(seed, kind="mixed", n=400, step_s=20):
    """An intraday script: trades, closes, sessions, news, actions, in the tape's order.

    kind: mixed, ties, gaps, late, huge, equal.
    """
    rng = random.Random(seed)
    events = [("session", "open", 1, T0 - DAY), ("session", "close", 1, T0 - 17 * HOUR)]
    now, price, closed, day = T0 - 10 * MINUTE, 50.0, 0, 1
    for i in range(n):
        now += rng.randrange(1, 2 * step_s) * 1_000_000
        if kind == "gaps" and rng.random() < 0.05:
            now += rng.choice([7, 31, 95, 400]) * MINUTE
        if kind == "ties" and rng.random() < 0.5:
            now -= now % MINUTE
        due = (now - 5_000_000) // MINUTE * MINUTE
        if due > closed:
            closed = due
            events.append(("close", due))
        if day == 1 and now >= T0:
            day = 2
            events.append(("session", "open", 2, T0))
        if day == 2 and now >= T0 + HOUR:
            day = 3
            events.append(("session", "close", 2, T0 + HOUR))
        what = rng.random()
        if what < 0.1:
            events.append(news_event(rng, i // 10, now - rng.randrange(0, 3) * HOUR))
        elif what < 0.11:
            events.append(
                ("split", now // MINUTE * MINUTE + 3 * MINUTE, rng.choice([2.0, 7.0, 0.1]))
            )
        elif what < 0.12:
            events.append(("dividend", now // MINUTE * MINUTE + MINUTE, price / 50))
        else:
            price = max(0.01, round(price + rng.choice([-0.02, -0.01, 0.0, 0.0, 0.01, 0.02]), 2))
            size = float(rng.randrange(0, 300))
            if kind == "equal":
                price, size = 0.1, 7.0
            if kind == "huge":
                price, size = rng.choice([1e9, 1e9 - 1, 1e-4, price]), rng.choice([1e15, 1.0, 0.0])
            ts = now
            if kind == "late" and rng.random() < 0.4:
                ts = now - rng.randrange(0, 4) * MINUTE
            quote = (price * 0.999, price * 1.001) if rng.random() < 0.5 else (None, None)
            events.append(trade(ts, price, size, *quote))
    return events


def days(seed, n=300, *, adjusted=False, equal=False, actions=False):
    """A daily script: bars, some twice, sessions and news."""
    rng = random.Random(seed)
    events, close = [], 100.0
    for day in range(n):
        start = T0 + day * DAY
        end = start + 6 * HOUR
        if rng.random() < 0.05:
            continue
        events.append(("session", "open", day + 1, start))
        events.append(("session", "close", day + 1, end))
        opened = close * (1 if equal else rng.uniform(0.97, 1.03))
        close = opened * (1 if equal else rng.choice([1.0, rng.uniform(0.97, 1.03)]))
        high, low = max(opened, close), min(opened, close)
        if not equal:
            high, low = high * rng.uniform(1, 1.02), low * rng.uniform(0.98, 1)
        if actions and rng.random() < 0.03:
            events.append(("split", end + HOUR, rng.choice([2.0, 0.2])))
        if actions and rng.random() < 0.05:
            events.append(("dividend", end + 2 * HOUR, close / 40))
        adj = close * 0.8 * 1.0003**day if adjusted else None
        volume = rng.choice([0.0, 1e6, rng.uniform(1, 1e9)])
        count = rng.choice([None, 5, 1000])
        one = bar(start, end, opened, high, low, close, volume, adj, None, count)
        events.append(one)
        if rng.random() < 0.1:
            events.append(one)
        for _ in range(rng.randrange(3)):
            events.append(news_event(rng, day, end + rng.randrange(0, 12) * HOUR))
    return events


def new_state(name):
    return SymbolState("A", FEATURE_SETS[name])


def apply(state, event):
    """Give one event of a script to a state."""
    kind, *args = event
    if kind == "trade":
        ts, price, size, bid, ask, regular = args
        return state.apply_trade(ts, price, size, bid=bid, ask=ask, regular=regular)
    if kind == "bar":
        *ohlcv, adj, vwap, n = args
        return state.apply_bar(of_bar(*ohlcv, adj, vwap, n))
    if kind == "close":
        return state.close_through(*args)
    if kind == "session":
        return state.apply_session(*args)
    if kind == "news":
        return state.apply_news(*args)
    return state.apply_split(*args) if kind == "split" else state.apply_dividend(*args)


def time_of(event, now):
    """Event time after an event: only the tape moves it."""
    kind, *args = event
    if kind in ("trade", "close"):
        return max(now, args[0])
    if kind in ("bar", "session"):
        return max(now, args[1] if kind == "bar" else args[2])
    return now
