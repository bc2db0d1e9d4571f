"""A small market in StockNet's format, with a known effect or none."""

from __future__ import annotations

import csv
import gzip
import json
import random
from datetime import timedelta
from pathlib import Path

from stream.clock.calendar import sessions
from stream.events import moment

SYMBOLS = [f"S{i:02}" for i in range(12)]
GOOD, BAD = "beats estimates, shares surge on strong profit", "misses, shares plunge on weak profit"


def write_folder(path: Path, first, last, *, reversal=0.0, news=0.0, seed=1, labels=True) -> Path:
    """Moves are noise of 2 % a day, less `reversal` of the day before's, plus `news` after a good
    tweet that came after the close (minus it after a bad one)."""
    path.mkdir(parents=True, exist_ok=True)
    draw = random.Random(seed)
    days = sessions("XNYS", first, last)
    price = dict.fromkeys(SYMBOLS, 100.0)
    before = dict.fromkeys(SYMBOLS, 0.0)
    tone = dict.fromkeys(SYMBOLS, 0.0)
    bars, tweets, moves = [], [], []
    for n, session in enumerate(days):
        for symbol in SYMBOLS:
            move = draw.gauss(0, 0.02) - reversal * before[symbol] + news * tone[symbol]
            opened, price[symbol] = price[symbol], price[symbol] * (1 + move)
            close = price[symbol]
            bars.append(
                [
                    symbol,
                    session.day,
                    opened,
                    max(opened, close) * 1.002,
                    min(opened, close) * 0.998,
                    close,
                    close,
                    draw.randrange(10**6, 10**7),
                ]
            )
            moves.append([symbol, session.day, round(move, 6)])
            before[symbol], tone[symbol] = move, draw.choice((0.0, 0.0, -1.0, 1.0))
            if tone[symbol] and n + 1 < len(days):
                said = GOOD if tone[symbol] > 0 else BAD
                at = moment(session.close) + timedelta(minutes=draw.randrange(5, 120))
                tweets.append(
                    {
                        "id": f"{seed}-{n}-{symbol}",
                        "published_at": at.isoformat(),
                        "source": "twitter",
                        "symbols": [symbol],
                        "lang": "en",
                        "headline": f"${symbol} {said} {draw.random():.6f}",
                        "day": str(at.date()),
                    }
                )
    _table(path / "bars.csv", "symbol,date,open,high,low,close,adj_close,volume", bars)
    _table(
        path / "symbols.csv",
        "symbol,company,sector",
        [[symbol, f"Company {symbol}", "AB"[i % 2]] for i, symbol in enumerate(SYMBOLS)],
    )
    if labels:
        kept = [[s, d, m, int(m > 0), "train"] for s, d, m in moves if m >= 0.0055 or m < -0.005]
        _table(path / "labels.csv", "symbol,date,move,label,split", kept)
    with gzip.open(path / "news.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(each) + "\n" for each in tweets)
    return path


def _table(path: Path, head: str, rows: list[list]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(head.split(","))
        writer.writerows(rows)
