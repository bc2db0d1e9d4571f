"""Folders in the documented formats, good and bad."""

from __future__ import annotations

import gzip
import itertools
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stream.datasets.recorded import open_dataset
from stream.errors import Refused
from stream.events import Bar, NewsArticle, Tick, decode, micros

SHARED = Path(__file__).parents[4] / "shared" / "data"
TRADES = "symbol,ts_ms,price,size,exchange,cond,suspicious\n"
BARS = "symbol,date,open,high,low,close,adj_close,volume\n"


def ms(*parts: int) -> int:
    return micros(datetime(*parts, tzinfo=UTC)) // 1000  # type: ignore[arg-type]


def folder(tmp_path: Path, **files: str) -> Path:
    """A dataset's folder; names are written with `_` for `-` and `.`: `bars_csv_gz`."""
    for name, text in files.items():
        stem, *rest = name.split("_")
        path = tmp_path / (stem + "." + ".".join(rest) if stem != "trades" else _trades(rest))
        path.write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
    return tmp_path


def _trades(rest: list[str]) -> str:
    return f"trades-{rest[0]}." + ".".join(rest[1:])


def test_trades_are_ticks_in_order_with_their_session_flag(tmp_path: Path) -> None:
    opened = ms(2013, 10, 7, 13, 30)
    rows = f"SPY,{opened - 1},167.5,100,P,2000,0\nBAC,{opened},14.1,5,Q,,0\n"
    rows += f"SPY,{opened + 1},9,7,P,,1\n"
    after = f"SPY,{ms(2013, 10, 8, 20)},168.25,1,P,,0\n"
    dataset = open_dataset(
        folder(tmp_path, trades_20131007_csv_gz=TRADES + rows, trades_20131008_csv=TRADES + after)
    )
    found = list(dataset.events())
    ticks = [decode(Tick, timed.value) for timed in found]
    assert (dataset.feature_set, dataset.tape, dataset.calendars) == (
        "intraday",
        "ticks",
        ("XNYS",),
    )
    assert [timed.at for timed in found] == [micros(tick.ts) for tick in ticks]
    assert [timed.key for timed in found] == [b"SPY", b"BAC", b"SPY", b"SPY"]
    assert [tick.regular for tick in ticks] == [False, True, False, False]
    assert (ticks[0].price, ticks[0].size, ticks[0].conditions) == (167.5, 100.0, "2000")
    assert dataset.span == (found[0].at, found[-1].at)


def test_bars_are_known_at_their_sessions_close_half_days_too(tmp_path: Path) -> None:
    rows = "AAA,2013-11-27,10,11,9,10.5,9.8,1000\nAAA,2013-11-29,10,11,9,10.5,,0\n"
    dataset = open_dataset(folder(tmp_path, bars_csv_gz=BARS + rows))
    whole, half = (decode(Bar, timed.value) for timed in dataset.events())
    assert (whole.start, whole.end) == (
        datetime(2013, 11, 27, 14, 30, tzinfo=UTC),
        datetime(2013, 11, 27, 21, tzinfo=UTC),
    )
    assert half.end == datetime(2013, 11, 29, 18, tzinfo=UTC)
    assert (whole.adj_close, half.adj_close) == (9.8, None)
    assert dataset.feature_set == "daily"


def test_a_symbols_own_calendar_times_its_bars(tmp_path: Path) -> None:
    symbols = "symbol,company,sector,calendar,aliases\nBTC,Bitcoin,Crypto,24/7,bitcoin|xbt\n"
    rows = "NYS,2024-03-05,10,11,9,10.5,,1\nBTC,2024-03-05,10,11,9,10.5,,1\n"
    dataset = open_dataset(folder(tmp_path, bars_csv=BARS + rows, symbols_csv=symbols))
    assert [timed.key for timed in dataset.events()] == [b"NYS", b"BTC"]
    assert dataset.instruments[0].aliases == ("bitcoin", "xbt")
    assert [timed.at for timed in dataset.events()] == [
        ms(2024, 3, 5, 21) * 1000,
        ms(2024, 3, 6, 0) * 1000,
    ]


def test_news_come_when_they_could_be_known(tmp_path: Path) -> None:
    day = ms(2013, 10, 7, 14) * 1000
    news = (
        '{"id":"late","source":"s","published_at":"2013-10-07T14:00:00Z","headline":"x",'
        '"received_at":"2013-10-07T14:05:00Z","lang":null}\n'
        '{"id":"assumed","source":"s","published_at":"2013-10-07T14:02:00Z","headline":"y"}\n'
    )
    rows = f"SPY,{ms(2013, 10, 7, 14)},167,1,P,,0\nSPY,{ms(2013, 10, 7, 14, 4)},167,1,P,,0\n"
    dataset = open_dataset(
        folder(tmp_path, trades_1_csv=TRADES + rows, news_jsonl=news), feed_delay_us=30_000_000
    )
    found = [((timed.at - day) // 1_000_000, timed.topic) for timed in dataset.events()]
    assert found == [(0, "ticks"), (150, "news"), (240, "ticks"), (300, "news")]
    late = next(t for t in dataset.events() if t.key == b"late")
    assert decode(NewsArticle, late.value).lang == ""


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "expected one tape.*found neither"),
        ({"bars_csv": BARS, "trades_1_csv": TRADES}, "found bars.csv, trades-1.csv"),
        ({"trades_1_csv": "symbol,price\n"}, "expected columns .*without ts_ms, size"),
        ({"trades_1_csv": TRADES}, "expected rows"),
        ({"trades_1_csv": TRADES + "SPY,soon,1,1,,,0\n"}, "trades-1.csv, line 2: .*'soon'"),
        ({"trades_1_csv": TRADES + "SPY,5\n"}, "line 2: fewer columns"),
        ({"bars_csv": BARS + "A,2024-03-09,1,1,1,1,1,1\n"}, "line 2: .*session of XNYS"),
        ({"bars_csv": BARS + "A,2024-03-05,1,1,1,1,1,1\n", "news_jsonl": "[]\n"}, "line 1"),
        (
            {"bars_csv": BARS + "A,2024-03-05,1,1,1,1,1,1\n", "symbols_csv": "symbol\na b\n"},
            "symbols.csv, line 2: .*symbol",
        ),
    ],
)
def test_a_folder_that_does_not_fit_is_refused_with_its_reason(
    tmp_path: Path, files: dict[str, str], message: str
) -> None:
    with pytest.raises(Refused, match=message):
        open_dataset(folder(tmp_path, **files))


def test_rows_out_of_order_are_refused_where_they_stand(tmp_path: Path) -> None:
    rows = "SPY,5000,1,1,,,0\nSPY,4000,1,1,,,0\nSPY,6000,1,1,,,0\n"
    dataset = open_dataset(folder(tmp_path, trades_1_csv=TRADES + rows))
    with pytest.raises(Refused, match="line 3: expected rows sorted by ts_ms"):
        list(dataset.events())


def test_a_price_that_is_no_number_is_left_to_the_roles_a_word_is_not(tmp_path: Path) -> None:
    dataset = open_dataset(folder(tmp_path, trades_1_csv=TRADES + "SPY,5000,nan,1,,,0\n"))
    assert b'"price":null' in next(dataset.events()).value


@pytest.fixture
def shared() -> Path:
    if not SHARED.is_dir():
        if "CI" in os.environ:
            pytest.fail(f"expected recorded datasets under {SHARED}")
        pytest.skip("no recorded datasets beside the checkout (../shared/data)")
    return SHARED


def test_recorded_tweets_and_bars_of_stocknet_are_read_whole(shared: Path) -> None:
    dataset = open_dataset(shared / "stocknet")
    found = list(dataset.events())
    assert len(dataset.instruments) == 88
    assert sum(timed.topic == "news" for timed in found) == 83_261
    assert sum(timed.topic == "bars" for timed in found) == 69_841
    assert all(a.at <= b.at for a, b in itertools.pairwise(found))
    assert dataset.span == (found[0].at, found[-1].at)


def test_recorded_trades_are_read_lazily_in_order(shared: Path) -> None:
    dataset = open_dataset(shared / "us_equity_ticks")
    found = list(itertools.islice(dataset.events(), 50_000))
    assert all(a.at <= b.at for a, b in itertools.pairwise(found))
    assert {timed.key for timed in found} == {b"SPY", b"BAC", b"AIG", b"IBM"}
    assert dataset.span[0] == found[0].at
