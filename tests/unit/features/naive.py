"""Every feature once more, naively, from the raw events: no panes kept, no columns, no memory."""

from __future__ import annotations

import math
import statistics
from functools import cache
from itertools import pairwise

MINUTE = 60_000_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
TRUST = {"reuters": 1.0, "twitter": 0.3}


def log_ratio(a, b):
    return math.log(a) - math.log(b)


def sign(x):
    return (x > 0) - (x < 0)


# -- from events to panes, sessions, news ------------------------------------------------------


def panes_from(events):
    """Panes as dicts, in time order, from trades, closes and bars; late ones left out."""
    panes, through = {}, 0
    for event in events:
        kind, *args = event
        if kind == "trade":
            ts, price, size, bid, ask, _ = args
            start = ts // MINUTE * MINUTE
            if start + MINUTE <= through:
                continue
            pane = panes.setdefault(
                start, {"start": start, "end": start + MINUTE, "trades": [], "closed": False}
            )
            pane["trades"].append((price, size, bid, ask))
        elif kind == "close":
            through = max(through, args[0])
            for pane in panes.values():
                pane["closed"] = pane["closed"] or pane["end"] <= through
        elif kind == "bar":
            start, end, o, h, low, c, v, adj, vwap, n = args
            if end <= through:
                continue
            through = end
            panes[start] = {
                "start": start, "end": end, "closed": True, "open": o, "high": h, "low": low,
                "close": c, "volume": v, "adj": adj, "count": n or 0,
                "notional": v * ((h + low + c) / 3 if vwap is None else vwap),
                "own": sign(c - o), "signed": sign(c - o) * v, "lead": 0.0 if c != o else v,
                "tick_r2": log_ratio(c, o) ** 2, "spreads": [],
            }  # fmt: skip
    ordered = sorted(panes.values(), key=lambda pane: pane["end"])
    for pane in ordered:
        if "trades" in pane:
            summarise(pane)
    return ordered


def summarise(pane):
    prices = [price for price, *_ in pane["trades"]]
    sizes = [size for _, size, *_ in pane["trades"]]
    own, signed, lead = 0, 0.0, 0.0
    for i, size in enumerate(sizes):
        if i and prices[i] != prices[i - 1]:
            own = sign(prices[i] - prices[i - 1])
        signed += own * size
        lead += size if own == 0 else 0.0
    pane |= {
        "open": prices[0], "high": max(prices), "low": min(prices), "close": prices[-1],
        "volume": sum(sizes), "count": len(sizes), "adj": None,
        "notional": sum(p * s for p, s in zip(prices, sizes, strict=True)),
        "own": own, "signed": signed, "lead": lead,
        "tick_r2": sum(log_ratio(b, a) ** 2 for a, b in pairwise(prices)),
        "spreads": [(a - b) / ((a + b) / 2) for *_, b, a in pane["trades"] if b and a],
    }  # fmt: skip


def visible(events, cut, include_open, max_gap):
    """Panes that count at the cut, signed by their neighbours and adjusted for actions."""
    panes = [dict(pane) for pane in panes_from(events)]
    panes = [
        pane
        for pane in panes
        if (pane["closed"] and pane["end"] <= cut)
        or (not pane["closed"] and include_open and pane["start"] <= cut)
    ]
    before = None
    for pane in panes:
        linked = before is not None and pane["start"] - before["end"] <= max_gap
        step = sign(pane["open"] - before["close"]) if linked else 0
        pane["signed"] += pane["lead"] * (step or (before["last"] if linked else 0))
        pane["last"] = pane["own"] or step
        pane["linked"] = linked
        before = pane
    return adjusted(panes, events, cut)


def adjusted(panes, events, cut):
    told = [event for event in events if event[0] in ("split", "dividend")]
    latest = {(ex_at, kind): value for kind, ex_at, value in told}
    actions = sorted((*key, value) for key, value in latest.items())
    provided = bool(panes) and all(pane["adj"] is not None for pane in panes)
    for pane in panes:
        price = volume = 1.0
        for ex_at, kind, value in actions:
            if ex_at <= cut and pane["end"] <= ex_at:
                if kind == "split":
                    price, volume = price / value, volume * value
                else:
                    last = [each["close"] for each in panes if each["end"] <= ex_at][-1]
                    price *= 1 - value / last if value < last else 1
        pane["f"] = pane["adj"] / pane["close"] if provided else price
        pane["vf"] = volume
    for i, pane in enumerate(panes):
        for name in ("open", "high", "low", "close"):
            pane["a_" + name] = pane[name] * pane["f"]
        pane["a_volume"] = pane["volume"] * pane["vf"]
        pane["a_signed"] = pane["signed"] * pane["vf"]
        pane["a_notional"] = pane["notional"] * pane["f"] * pane["vf"]
        pane["r"] = (
            log_ratio(pane["a_close"], panes[i - 1]["a_close"]) if i and pane["linked"] else None
        )
    return panes


def sessions_from(events, cut, panes):
    """Sessions opened by the cut, each with its panes; `done` where it is over."""
    out = []
    for kind, *args in events:
        if kind == "session" and args[0] == "open" and args[2] <= cut:
            out.append({"day": args[1], "open": args[2], "close": None})
    for kind, *args in events:
        if kind == "session" and args[0] == "close":
            for session in out:
                if session["day"] == args[1]:
                    session["close"] = args[2]
    for i, session in enumerate(out):
        following = out[i + 1]["open"] if i + 1 < len(out) else math.inf
        until = min(following, math.inf if session["close"] is None else session["close"])
        session["panes"] = [p for p in panes if p["start"] >= session["open"] and p["end"] <= until]
        session["done"] = until <= cut
    return out


def news_at(events, cut):
    """Items that count at the cut, oldest first."""
    accepted, best = {}, {}
    for kind, *args in events:
        if kind == "news" and args[0].revision > accepted.get(args[0].article_id, 0):
            accepted[args[0].article_id] = args[0].revision
            if args[0].available_at <= cut:
                best[args[0].article_id] = args[0]
    items = [item for item in best.values() if item.status != "retracted"]
    return sorted(items, key=lambda item: (item.available_at, item.article_id))


# -- features ----------------------------------------------------------------------------------


def tail_in_time(panes, cut, us):
    return [pane for pane in panes if pane["end"] > cut - us]


def tail_of(panes, n):
    return panes[-n:] if len(panes) >= n else []


def ratio(a, b):
    return None if not b else a / b


def mean(values):
    return sum(values) / len(values) if values else None


def flow(name, tail, base, out):
    usual = mean([p["a_volume"] for p in base])
    trades = mean([p["count"] for p in base])
    out[f"volume_surprise_{name}"] = (
        ratio(mean([p["a_volume"] for p in tail]), usual) if tail else None
    )
    out[f"trades_surprise_{name}"] = (
        ratio(mean([p["count"] for p in tail]), trades) if tail else None
    )
    volume = sum(p["a_volume"] for p in tail)
    vwap = ratio(sum(p["a_notional"] for p in tail), volume)
    out[f"vwap_distance_{name}"] = log_ratio(tail[-1]["a_close"], vwap) if vwap else None
    out[f"imbalance_signed_{name}"] = ratio(sum(p["a_signed"] for p in tail), volume)


def spans(name, tail, out):
    if not tail:
        out[f"range_log_{name}"] = out[f"range_position_{name}"] = None
        return
    top, bottom = max(p["a_high"] for p in tail), min(p["a_low"] for p in tail)
    out[f"range_log_{name}"] = log_ratio(top, bottom)
    out[f"range_position_{name}"] = ratio(tail[-1]["a_close"] - bottom, top - bottom)


def amihud(name, tail, out):
    costs = [
        abs(p["r"]) * 1e4 / (p["notional"] / 1e6)
        for p in tail
        if p["r"] is not None and p["notional"] >= 1e-9
    ]
    out[f"illiquidity_amihud_{name}"] = mean(costs)


def rms(tail):
    return math.sqrt(sum((p["r"] or 0.0) ** 2 for p in tail))


def ema(closes, span):
    """Exponential mean over at most three spans, by the weighted average's definition."""
    alpha = 2 / (span + 1)
    weights = [(1 - alpha) ** age for age in range(3 * span)]
    newest = closes[::-1][: 3 * span]
    return sum(w * c for w, c in zip(weights, newest, strict=True)) / sum(weights)


def indicators(closes, unit, out):
    def line(upto):
        return ema(upto, 12) - ema(upto, 26)

    n = len(closes)
    out[f"rsi_cutler_14{unit}"] = out[f"bollinger_b_20{unit}"] = None
    out[f"macd_histogram_26{unit}"] = None
    if n >= 15:
        steps = [b - a for a, b in zip(closes[-15:], closes[-14:], strict=False)]
        up, down = sum(s for s in steps if s > 0), -sum(s for s in steps if s < 0)
        out[f"rsi_cutler_14{unit}"] = 100 * up / (up + down) if up + down else 50.0
    if n >= 20 and len(set(closes[-20:])) > 1:
        middle, sd = statistics.fmean(closes[-20:]), statistics.pstdev(closes[-20:])
        out[f"bollinger_b_20{unit}"] = (closes[-1] - (middle - 2 * sd)) / (4 * sd)
    if n >= 104:
        lines = [line(closes[: n - back]) for back in range(26, -1, -1)]
        out[f"macd_histogram_26{unit}"] = (lines[-1] - ema(lines, 9)) / closes[-1]


def cycle(name, length, origin, cut, out):
    angle = 2 * math.pi * (((cut - origin) / length) % 1)
    out[f"time_sin_{name}"], out[f"time_cos_{name}"] = math.sin(angle), math.cos(angle)


@cache
def bits(sketch):
    """Places of the set bits: of the words part and of the facts part."""
    places = [8 * i + k for i, byte in enumerate(sketch) for k in range(8) if byte >> k & 1]
    return {p for p in places if p < 768}, {p for p in places if p >= 768}


@cache
def told(new, by):
    """How much of a text an earlier one tells: the lesser share of words and facts."""
    shares = []
    for own, other, size in zip(bits(new), bits(by), (768, 256), strict=True):
        missing = len(own - other)
        if not missing:
            shares.append(1.0)
        else:
            p, f = 1 - missing / len(own), len(other) / size
            shares.append((p - f) / (1 - f))
    return min(shares) if bits(new)[0] and min(shares) >= 0.25 else 0.0


def stories(items, reach):
    """For each item, in order: who told it first and its novelty."""
    out = {}
    for j, item in enumerate(items):
        shares = {
            each.article_id: told(item.sketch, each.sketch)
            for each in items[:j]
            if each.available_at > item.available_at - reach
        }
        tellers = [article_id for article_id, share in shares.items() if share >= 0.9]
        first = tellers[0] if tellers else item.article_id
        out[item.article_id] = (first, 1 - max(shares.values(), default=0.0))
    return out


def tone(items, cut, us):
    chosen = [item for item in items if item.available_at > cut - us]
    return ratio(
        sum(item.relevance * item.polarity for item in chosen),
        sum(item.relevance for item in chosen),
    )


def news_features(every, cut, sessions, windows, base, half_lives, texture, reach, out):
    longest = base[1]
    every = [item for item in every if item.available_at > cut - longest - reach]
    story = stories(every, reach)
    items = [item for item in every if story[item.article_id][0] == item.article_id]
    usual = out[f"sentiment_mean_{base[0]}"] = tone(items, cut, longest)
    for i, (name, us) in enumerate(windows):
        own = out[f"sentiment_mean_{name}"] = tone(items, cut, us)
        out[f"sentiment_change_{name}"] = None if own is None or usual is None else own - usual
        count = len([item for item in items if item.available_at > cut - us])
        out[f"news_count_{name}"] = float(count)
        if i == 0:
            total = len([item for item in items if item.available_at > cut - longest])
            out[f"news_surprise_{name}"] = ratio(count, total * us / longest)
    for name, us in half_lives:
        chosen = [item for item in items if item.available_at > cut - 8 * us]
        parts = [i.relevance * i.polarity * 0.5 ** ((cut - i.available_at) / us) for i in chosen]
        out[f"sentiment_decay_{name}"] = sum(parts) if chosen else None
    name, us = texture
    chosen = [item for item in items if item.available_at > cut - us]
    own, weight = tone(items, cut, us), sum(item.relevance for item in chosen)
    out[f"sentiment_dispersion_{name}"] = None
    if len(chosen) > 1 and own is not None:
        spread = sum(i.relevance * (i.polarity - own) ** 2 for i in chosen) / weight
        out[f"sentiment_dispersion_{name}"] = math.sqrt(spread)
    out[f"sentiment_negative_{name}"] = mean([item.negative for item in chosen])
    out[f"news_novel_{name}"] = float(sum(story[i.article_id][1] for i in chosen))
    ages = [(cut - i.available_at) / HOUR for i in items if i.available_at > cut - longest]
    out[f"news_age_{base[0]}"] = min(ages, default=None)
    out[f"source_credibility_{name}"] = mean([TRUST.get(item.source, 0.5) for item in chosen])
    tellers = [item for item in every if item.available_at > cut - us]
    out[f"source_count_{name}"] = float(len({item.source for item in tellers}))
    out[f"news_reprinted_{name}"] = ratio(len(tellers) - len(chosen), len(tellers))
    out[f"news_length_{name}"] = mean([math.log(1 + item.n_chars) for item in chosen])
    outside = []
    for item in chosen:
        earlier = [each for each in sessions if each["open"] <= item.available_at]
        if earlier:
            close = earlier[-1]["close"]
            outside.append(close is not None and close <= cut and item.available_at >= close)
    out[f"news_afterclose_{name}"] = mean(outside)


def intraday(events, cut, include_open):
    panes = visible(events, cut, include_open, 30 * MINUTE)
    out = {}

    def tail(us):
        return tail_in_time(panes, cut, us)

    for name, n in [("1m", 1), ("5m", 5), ("15m", 15), ("1h", 60), ("4h", 240)]:
        us = n * MINUTE
        earlier = [p for p in panes if cut - us - 30 * MINUTE < p["end"] <= cut - us]
        known = tail(us) and earlier
        out[f"return_log_{name}"] = (
            log_ratio(panes[-1]["a_close"], earlier[-1]["a_close"]) if known else None
        )
    base = tail(2 * HOUR)
    for name, us in [("15m", 15 * MINUTE), ("1h", HOUR)]:
        out[f"volatility_realised_{name}"] = rms(tail(us)) if tail(us) else None
    ticks = tail(5 * MINUTE)
    out["volatility_tick_5m"] = math.sqrt(sum(p["tick_r2"] for p in ticks)) if ticks else None
    out["volatility_surprise_15m"] = None
    if tail(15 * MINUTE) and rms(base):
        short = tail(15 * MINUTE)
        usual = rms(base) / math.sqrt(len(base))
        out["volatility_surprise_15m"] = rms(short) / math.sqrt(len(short)) / usual
    flow("5m", tail(5 * MINUTE), base, out)
    flow("30m", tail(30 * MINUTE), base, out)
    spans("15m", tail(15 * MINUTE), out)
    spans("1h", tail(HOUR), out)
    amihud("1h", tail(HOUR), out)
    quoted = [spread for p in ticks for spread in p["spreads"]]
    out["spread_mean_5m"] = mean([1e4 * spread for spread in quoted])
    indicators([p["a_close"] for p in tail(4 * HOUR)], "p", out)

    sessions = sessions_from(events, cut, panes)
    now = sessions[-1] if sessions else None
    over = now is None or (now["close"] is not None and cut > now["close"])
    out["clock_since_open_session"] = None if over else (cut - now["open"]) / MINUTE
    out["gap_overnight_session"] = out["return_open_session"] = out["vwap_distance_session"] = None
    if now and now["panes"]:
        inside = now["panes"]
        past = [each for each in sessions[:-1] if each["panes"]]
        if past:
            out["gap_overnight_session"] = log_ratio(
                inside[0]["open"], past[-1]["panes"][-1]["a_close"]
            )
        out["return_open_session"] = log_ratio(inside[-1]["close"], inside[0]["open"])
        vwap = ratio(sum(p["notional"] for p in inside), sum(p["volume"] for p in inside))
        out["vwap_distance_session"] = log_ratio(inside[-1]["close"], vwap) if vwap else None
    closes = [s["panes"][-1]["a_close"] for s in sessions if s["done"] and s["panes"]]
    for n in (1, 5, 20, 60, 120, 250):
        out[f"momentum_sessions_{n}d"] = (
            log_ratio(closes[-1], closes[-1 - n]) if len(closes) > n else None
        )
    steps = [log_ratio(b, a) for a, b in zip(closes[-21:], closes[-20:], strict=False)]
    out["volatility_sessions_20d"] = (
        math.sqrt(sum(s * s for s in steps)) if len(closes) > 20 else None
    )
    cycle("day", DAY, 0, cut, out)
    cycle("week", 7 * DAY, 4 * DAY, cut, out)
    items = news_at(events, cut)
    news_features(
        items, cut, sessions, [("1h", HOUR), ("1d", DAY)], ("7d", 7 * DAY),
        [("30m", 30 * MINUTE), ("3h", 3 * HOUR)], ("1d", DAY), 3 * DAY, out,
    )  # fmt: skip
    for a, b in [("1h", "15m"), ("1d", "1h")]:
        mood, move = out[f"sentiment_mean_{a}"], out[f"return_log_{b}"]
        out[f"sentiment{a}_x_return_{b}"] = None if mood is None or move is None else mood * move
    return out


def daily(events, cut, include_open):
    panes = visible(events, cut, include_open, math.inf)
    out = {}
    for n in (1, 5, 10, 20, 60, 120, 250):
        long_enough = len(panes) > n
        out[f"return_log_{n}d"] = (
            log_ratio(panes[-1]["a_close"], panes[-1 - n]["a_close"]) if long_enough else None
        )
    gap = len(panes) > 1
    out["gap_overnight_1d"] = log_ratio(panes[-1]["a_open"], panes[-2]["a_close"]) if gap else None
    out["return_open_1d"] = log_ratio(panes[-1]["close"], panes[-1]["open"]) if panes else None
    for n in (5, 20):
        out[f"volatility_realised_{n}d"] = rms(panes[-n:]) if len(panes) > n else None
    out["volatility_surprise_5d"] = None
    if len(panes) > 60 and rms(panes[-60:]):
        out["volatility_surprise_5d"] = rms(panes[-5:]) / rms(panes[-60:]) * math.sqrt(60 / 5)
    base = tail_of(panes, 20)
    for n in (1, 5):
        flow(f"{n}d", tail_of(panes, n), base, out)
    for n in (1, 20, 250):
        spans(f"{n}d", tail_of(panes, n), out)
    amihud("20d", tail_of(panes, 20), out)
    indicators([p["a_close"] for p in panes], "d", out)
    cycle("week", 7 * DAY, 4 * DAY, cut, out)
    cycle("year", 365.2425 * DAY, 0, cut, out)
    items = news_at(events, cut)
    sessions = sessions_from(events, cut, panes)
    news_features(
        items, cut, sessions, [("1d", DAY), ("7d", 7 * DAY)], ("30d", 30 * DAY),
        [("6h", 6 * HOUR), ("1d", DAY)], ("3d", 3 * DAY), 7 * DAY, out,
    )  # fmt: skip
    for a, b in [("1d", "1d"), ("7d", "5d")]:
        mood, move = out[f"sentiment_mean_{a}"], out[f"return_log_{b}"]
        out[f"sentiment{a}_x_return_{b}"] = None if mood is None or move is None else mood * move
    return out
