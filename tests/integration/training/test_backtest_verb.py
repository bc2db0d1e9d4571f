"""`tapewire backtest` on stored signals and prices."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from stream.archive.migrate import migrate
from stream.errors import Refused
from stream.events import micros
from tests.e2e.servers import tapewire
from tests.fix_namespace import drop_schema
from tests.integration.sql.rows import MINUTE, Row, at, bar, connect, insert, place, signal
from tests.integration.training.test_model_verbs import of
from training.history import open_history
from training.traded import traded

pytestmark = pytest.mark.stack


@pytest.fixture
def db(timescale: str, namespace: str) -> Iterator[psycopg.Connection]:
    migrate(timescale, namespace)
    with connect(timescale, namespace) as connection:
        policy(connection, tape="ticks", feature_set="intraday")
        yield connection
    drop_schema(timescale, namespace)


def policy(connection: psycopg.Connection, **rules: str) -> None:
    connection.execute("DELETE FROM policies")
    connection.execute(
        "INSERT INTO policies (policy_id, policy) VALUES ('p', %s)", [json.dumps(rules)]
    )


def pane(symbol: str, minutes: float, price: float, **more: object) -> Row:
    """A minute from `minutes` on, all of it traded at `price`."""
    end = at(minutes) + MINUTE
    return bar(symbol, end, price, origin="pane", notional=10 * price, volume=10.0, **more)


def test_signals_are_traded_as_they_were_known(
    db: psycopg.Connection, timescale: str, namespace: str, tmp_path: Path
) -> None:
    walk = [100.0, 101.0, 99.0, 49.5, 52.0, 52.0]
    insert(db, "bars", [pane("AAA", i, price) for i, price in enumerate(walk)])
    insert(db, "bars", [pane("AAA", 1, 1.0), bar("AAA", at(2), 1.0)])  # again, and no pane
    insert(db, "bars", [pane("BBB", i, 10.0) for i in range(6)])
    made = {"valid_until": at(4)}
    insert(db, "signals", [
        signal("k1", "AAA", at(0.5), **made),
        signal("k2", "AAA", at(0.6), direction="BEARISH", actionable=False, **made),
        signal("k3", "CCC", at(0.5), **made),
    ])  # fmt: skip
    with open_history(timescale, namespace) as history:
        told = traded(history.connection, history.tape, None, None)
    assert sorted(told.prices) == ["AAA", "BBB"]
    assert told.prices["AAA"].price.tolist() == walk
    assert told.without_price == 1

    page = tmp_path / "backtest.html"
    done = tapewire(of(timescale, namespace), "backtest", "--json", "--report", str(page))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["symbols"], found["trades"]) == (2, 1)
    assert (found["actionable signals"], found["not tradable in time"]) == (2, 1)
    assert found["mean time held, s"] == 180.0
    assert found["strategies"]["signals"]["0"]["total"] == pytest.approx((52 / 101 - 1) / 2)
    assert "BBB" not in page.read_text()[page.read_text().index("By symbol") :]
    shown = tapewire(of(timescale, namespace), "backtest", "--cost-bps", "7").stdout
    assert "7 bp" in shown
    assert "break-even cost a side, bp: -" in shown


def test_a_revision_stands_until_the_next_one(
    db: psycopg.Connection, timescale: str, namespace: str
) -> None:
    insert(db, "bars", [pane("AAA", i, 100.0) for i in range(9)])
    insert(db, "signals", [
        signal("k1", "AAA", at(0.5), valid_until=at(8)),
        signal("k1", "AAA", at(3.5), valid_until=at(9), revision=2, actionable=False),
        signal("k2", "AAA", at(5.5), valid_until=at(6.5), direction="BEARISH"),
    ])  # fmt: skip
    with open_history(timescale, namespace) as history:
        orders = traded(history.connection, history.tape, None, None).orders["AAA"]
    ends = [micros(at(minutes)) for minutes in (3.5, 6.5)]
    assert (orders.until_us.tolist(), orders.side.tolist()) == (ends, [1, -1])


def test_a_split_stored_twice_splits_once(
    db: psycopg.Connection, timescale: str, namespace: str
) -> None:
    night = 10 * 60.0  # minutes from T0 to midnight
    insert(db, "bars", [pane("AAA", night - 1, 100.0), pane("AAA", night, 50.0)])
    split = {"symbol": "AAA", "kind": "split", "value": 2.0, "ex_date": "2024-03-06",
             "announced_at": at(0)}  # fmt: skip
    insert(db, "actions", [{**split, **place(at(0))}, {**split, **place(at(1))}])
    with open_history(timescale, namespace) as history:
        told = traded(history.connection, history.tape, None, None)
    assert told.prices["AAA"].worth.tolist() == [1.0]


def test_days_are_bought_at_their_open_and_held_for_a_session(
    db: psycopg.Connection, timescale: str, namespace: str
) -> None:
    policy(db, tape="bars", feature_set="daily")
    opens, adjusted = [100.0, 102.0, 51.0, 51.0], [0.5, 0.5, 1.0, 1.0]
    day = 24 * 60.0
    insert(db, "bars", [
        bar("AAA", at(i * day), 2 * price, open=price, adj_close=2 * price * factor,
            bar_start=at(i * day - 390))
        for i, (price, factor) in enumerate(zip(opens, adjusted, strict=True))
    ])  # fmt: skip
    with open_history(timescale, namespace) as history:
        told = traded(history.connection, history.tape, None, None)
    assert (told.orders, told.sessions) == ({}, 1)
    assert told.prices["AAA"].price.tolist() == opens
    assert told.prices["AAA"].worth == pytest.approx([1.02, 1.0, 1.0])

    none = tapewire(of(timescale, namespace), "backtest", "--json")
    assert json.loads(none.stdout)["trades"] == 0
    insert(db, "signals", [signal("k", "AAA", at(0), valid_until=at(60), horizon="1d")])
    done = tapewire(of(timescale, namespace), "backtest", "--json")
    found = json.loads(done.stdout)
    assert (found["trades"], found["mean time held, s"]) == (1, day * 60)
    assert found["strategies"]["signals"]["0"]["total"] == pytest.approx(51 / 51 - 1)

    insert(db, "signals", [signal("l", "AAA", at(day), valid_until=at(day), horizon="2w")])
    with open_history(timescale, namespace) as history:
        assert traded(history.connection, history.tape, micros(at(day)), None).sessions == 10
        with pytest.raises(Refused, match="ones of one horizon, got 1d and 2w; choose a span"):
            traded(history.connection, history.tape, None, None)


def test_a_report_into_no_folder_is_refused_at_the_start(
    db: psycopg.Connection, timescale: str, namespace: str, tmp_path: Path
) -> None:
    nowhere = str(tmp_path / "none" / "page.html")
    for verb in (("backtest",), ("retrain",)):
        done = tapewire(of(timescale, namespace), *verb, "--report", nowhere)
        assert done.returncode == 2
        assert "expected an existing folder" in done.stderr


def test_a_span_without_prices_is_refused(
    db: psycopg.Connection, timescale: str, namespace: str
) -> None:
    done = tapewire(of(timescale, namespace), "backtest", "--since", "2024-03-05")
    assert done.returncode == 2
    assert "expected two stored bars or panes of a symbol in the span" in done.stderr
