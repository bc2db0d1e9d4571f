"""Every function of `sql/005_known_at.sql` against plain loops, on rows with every disorder."""

import math
import random
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from tests.integration.sql import naive
from tests.integration.sql.rows import (
    MINUTE,
    Row,
    article,
    at,
    bar,
    call,
    insert,
    place,
    score,
    signal,
    tick,
)

pytestmark = pytest.mark.stack

SEEDS = [1, 2]
SYMBOLS = ["A", "B", "C"]
SPAN = 60  # minutes; a row's time is a whole minute, so that ties abound
MOMENTS = [at(m) for m in range(-1, SPAN + 15, 2)]
LOOKBACKS = [timedelta(minutes=7), timedelta(minutes=30), timedelta(days=1)]


def late(rng: random.Random, minute: int) -> dict[str, object]:
    """A place in the log: in time, late, or in a topic made anew."""
    return place(at(minute + rng.choice([0, 0, 0, 3, 10])), topic_id=rng.choice(["t1", "t1", "t2"]))


def some_ticks(rng: random.Random, n: int) -> list[Row]:
    rows = []
    for _ in range(n):
        minute = rng.randrange(SPAN)
        size, price = rng.choice([0.0, 1.0, 100.0, 0.1]), rng.choice([9.9, 10.0, 10.1, 10.7])
        ts = at(minute + rng.choice([0, 0, 0.5]))
        regular = rng.random() < 0.8
        rows.append(
            tick(
                rng.choice(SYMBOLS[:2]), ts, price, size=size, regular=regular, **late(rng, minute)
            )
        )
    return rows


def some_bars(rng: random.Random, n: int) -> list[Row]:
    rows = []
    for _ in range(n):
        minute, origin = rng.randrange(SPAN), rng.choice(["bar", "pane"])
        symbol, close = rng.choice(SYMBOLS[1:]), rng.choice([20.0, 20.5])
        rows.append(bar(symbol, at(minute), close, origin=origin, **late(rng, minute)))
    return rows


def some_articles(rng: random.Random, n: int) -> list[Row]:
    rows = []
    for _ in range(n):
        minute = rng.randrange(SPAN)
        rows.append(
            article(
                f"a{rng.randrange(12)}",
                at(minute),
                revision=rng.randint(1, 3),
                status=rng.choice(["published", "corrected", "retracted"]),
                received_at=rng.choice([None, at(minute - 1), at(minute + 4)]),
                symbols=rng.sample(SYMBOLS, rng.randrange(3)),
                **late(rng, minute),
            )
        )
    return rows


def some_scores(rng: random.Random, n: int) -> list[Row]:
    rows = []
    for _ in range(n):
        minute = rng.randrange(SPAN)
        rows.append(
            score(
                f"a{rng.randrange(12)}",
                rng.choice(SYMBOLS),
                at(minute),
                published_at=at(minute - rng.choice([0, 1, 5, 20])),
                revision=rng.randint(1, 3),
                status=rng.choice(["published", "published", "corrected", "retracted"]),
                model=rng.choice(["lexicon", "finbert"]),
                **late(rng, minute),
            )
        )
    return rows


def some_signals(rng: random.Random, n: int) -> list[Row]:
    rows = []
    for i in range(n):
        minute, symbol, key = rng.randrange(SPAN), rng.choice(SYMBOLS[:2]), rng.randrange(n // 2)
        rows.append(
            signal(
                f"{symbol}{key}",
                symbol,
                at(minute),
                signal_id=f"s{i}",
                revision=rng.randint(1, 3),
                **late(rng, minute),
            )
        )
    return rows


@pytest.mark.parametrize("seed", SEEDS)
def test_asof_price(db: psycopg.Connection, seed: int) -> None:
    rng = random.Random(seed)
    ticks, bars = some_ticks(rng, 80), some_bars(rng, 60)
    insert(db, "ticks", ticks)
    insert(db, "bars", bars)
    for symbol in (*SYMBOLS, "none"):
        known = naive.prices(ticks, bars, symbol)
        found = [call(db, "asof_price", symbol, t) for t in MOMENTS]
        assert found == [naive.asof_price(known, t) for t in MOMENTS]


@pytest.mark.parametrize("seed", SEEDS)
def test_sentiment_known_at(db: psycopg.Connection, seed: int) -> None:
    scores = some_scores(random.Random(seed), 150)
    insert(db, "sentiments", scores)
    for symbol in SYMBOLS:
        for lookback in LOOKBACKS:
            for t in MOMENTS:
                rows = call(db, "sentiment_known_at", symbol, t, lookback)
                found = [
                    (r["article_id"], r["model"], r["revision"], r["available_at"]) for r in rows
                ]
                assert found == naive.sentiment_known_at(scores, symbol, t, lookback)


@pytest.mark.parametrize("seed", SEEDS)
def test_news_known_at(db: psycopg.Connection, seed: int) -> None:
    rng = random.Random(seed)
    articles, scores = some_articles(rng, 60), some_scores(rng, 60)
    insert(db, "news", articles)
    insert(db, "sentiments", scores)
    for symbol in SYMBOLS:
        for lookback in LOOKBACKS:
            for t in MOMENTS:
                rows = call(db, "news_known_at", symbol, t, lookback)
                found = [(r["id"], r["revision"], r["available_at"]) for r in rows]
                assert found == naive.news_known_at(articles, scores, symbol, t, lookback)


@pytest.mark.parametrize("seed", SEEDS)
def test_signals_known_at(db: psycopg.Connection, seed: int) -> None:
    signals = some_signals(random.Random(seed), 120)
    insert(db, "signals", signals)
    for t in MOMENTS:
        expected = naive.signals_known_at(signals, t)
        rows = call(db, "signals_known_at", t)
        assert {r["symbol"]: r["signal_id"] for r in rows} == expected
        assert len(rows) == len(expected)
        for symbol in (*SYMBOLS, "none"):
            ids = [r["signal_id"] for r in call(db, "signals_known_at", t, symbol)]
            assert ids == [e for of, e in expected.items() if of == symbol]


@pytest.mark.parametrize("seed", SEEDS)
def test_bars(db: psycopg.Connection, seed: int) -> None:
    rng = random.Random(seed)
    ticks = some_ticks(rng, 300)
    insert(db, "ticks", ticks)
    for width in (MINUTE, 7 * MINUTE, timedelta(hours=1), timedelta(days=1), timedelta(days=7)):
        for _ in range(5):
            since, until = at(rng.uniform(-10, SPAN)), at(rng.uniform(0, 20_000))
            since -= rng.choice([0, 0, 8]) * timedelta(days=1)
            for symbol in SYMBOLS:
                found = call(db, "bars", symbol, width, since, until)
                assert found == naive.bars(ticks, symbol, width, since, until)


def test_a_day_of_bars_is_24_hours_where_clocks_change(db: psycopg.Connection) -> None:
    change = [at(60 * 24 * day) for day in (4, 5, 6)]  # New York's clocks change on 10 March
    insert(db, "ticks", [tick("A", t, 1.0) for t in change])
    day = timedelta(days=1)
    rows = call(db, "bars", "A", day, at(0), at(60 * 24 * 10))
    ends = [(r["bar_start"].timestamp(), r["bar_end"].timestamp()) for r in rows]
    first = ends[0][0]
    assert first % 86_400 == 0
    assert ends == [(first + n * 86_400, first + (n + 1) * 86_400) for n in range(3)]


@pytest.mark.parametrize("seed", SEEDS)
def test_signals_with_returns(db: psycopg.Connection, seed: int) -> None:
    rng = random.Random(seed)
    ticks, bars, signals = some_ticks(rng, 50), some_bars(rng, 40), some_signals(rng, 60)
    insert(db, "ticks", ticks)
    insert(db, "bars", bars)
    insert(db, "signals", signals)
    known = {symbol: naive.prices(ticks, bars, symbol) for symbol in SYMBOLS}
    for holding in (MINUTE, 10 * MINUTE, 45 * MINUTE):
        expected = {
            s["signal_id"]: naive.with_return(known[s["symbol"]], s["as_of"], holding)
            for s in signals
        }
        returns = [e[-1] for e in expected.values()]
        assert None in returns
        assert any(returns)
        rows = call(db, "signals_with_returns", holding)
        assert len(rows) == len(signals)
        for r in rows:
            *times_and_prices, bps = expected[r["signal_id"]]
            found = [r["entry_at"], r["entry_price"], r["exit_at"], r["exit_price"]]
            assert found == times_and_prices
            assert (r["return_bps"] is None) == (bps is None)
            assert bps is None or math.isclose(r["return_bps"], bps, rel_tol=1e-12)
        of_one = call(db, "signals_with_returns", holding, "A")
        ids = {r["signal_id"] for r in rows if r["symbol"] == "A"}
        assert {r["signal_id"] for r in of_one} == ids


def test_a_tick_that_came_late_was_not_known(db: psycopg.Connection) -> None:
    came = tick("A", at(5), 11.0, **place(at(8)))
    insert(db, "ticks", [tick("A", at(1), 10.0), came])
    found = [call(db, "asof_price", "A", at(m))[0]["price"] for m in (5, 7, 8)]
    assert found == [10.0, 10.0, 11.0]


def test_functions_answer_whatever_the_search_path(db: psycopg.Connection, namespace: str) -> None:
    insert(db, "ticks", [tick("A", at(1), 10.0), tick("A", at(2), 11.0)])
    insert(db, "signals", [signal("k", "A", at(0))])
    db.execute("CREATE TEMP TABLE ticks (symbol text)")
    db.execute("SET search_path = pg_catalog")
    for query, n in (
        ("asof_price('A', '2024-03-05 15:00Z')", 1),
        ("bars('A', '1 minute', '2024-03-05 14:00Z', '2024-03-05 15:00Z')", 2),
        ("signals_known_at('2024-03-05 15:00Z')", 1),
        ("signals_with_returns('2 minutes')", 1),
        ("news_known_at('A', '2024-03-05 15:00Z', '1 day')", 0),
        ("sentiment_known_at('A', '2024-03-05 15:00Z', '1 day')", 0),
    ):
        assert db.execute(f"SELECT * FROM {namespace}.{query}".encode()).rowcount == n


def test_every_function_has_an_example_that_runs(db: psycopg.Connection, namespace: str) -> None:
    commented = db.execute(
        "SELECT p.proname, obj_description(p.oid, 'pg_proc') FROM pg_proc p "
        "WHERE p.pronamespace = %s::regnamespace",
        [namespace],
    ).fetchall()
    assert {name for name, _ in commented} == {
        "asof_price", "sentiment_known_at", "news_known_at", "signals_known_at", "bars",
        "signals_with_returns", "keep_for",
    }  # fmt: skip
    page = (Path(__file__).parents[3] / "docs" / "sql.md").read_text("utf-8")
    for _, comment in commented:
        example = comment.partition("Example: ")[2]
        assert example in page
        db.execute(example.encode())
    views = db.execute("SELECT viewname FROM pg_views WHERE schemaname = %s", [namespace])
    assert not [view for (view,) in views if f"`{view}`" not in page]
