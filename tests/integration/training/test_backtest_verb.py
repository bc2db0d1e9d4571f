"""`tapewire backtest` on stored signals and prices."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from stream.archive.migrate import migrate
from tests.fix_namespace import drop_schema
from tests.integration.sql.rows import MINUTE, Row, at, bar, connect, insert, signal
from tests.integration.training.test_model_verbs import tapewire
from training.history import open_history

pytestmark = pytest.mark.stack


@pytest.fixture
def db(timescale: str, namespace: str) -> Iterator[psycopg.Connection]:
    migrate(timescale, namespace)
    with connect(timescale, namespace) as connection:
        connection.execute(
            "INSERT INTO policies (policy_id, policy) VALUES ('p', '{\"tape\": \"ticks\"}')"
        )
        yield connection
    drop_schema(timescale, namespace)


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
        told = history.traded(None, None)
    assert sorted(told.prices) == ["AAA", "BBB"]
    assert told.prices["AAA"].price.tolist() == walk
    assert told.without_price == 1

    page = tmp_path / "backtest.html"
    done = tapewire(timescale, namespace, "backtest", "--json", "--report", str(page))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["symbols"], found["trades"], found["not tradable in time"]) == (2, 1, 1)
    assert found["mean time held, s"] == 180.0
    assert found["strategies"]["signals"]["0"]["total"] == pytest.approx(
        ((99 / 101 - 1) + (49.5 / 99 - 1) + (52 / 49.5 - 1)) / 2
    )
    assert "BBB" not in page.read_text()[page.read_text().index("By symbol") :]
    shown = tapewire(timescale, namespace, "backtest", "--cost-bps", "7").stdout
    assert "7 bp" in shown
    assert "break-even cost a side, bp: -" in shown


def test_a_span_without_prices_is_refused(
    db: psycopg.Connection, timescale: str, namespace: str
) -> None:
    done = tapewire(timescale, namespace, "backtest", "--since", "2024-03-05")
    assert done.returncode == 2
    assert "expected stored bars or panes in the span, found none" in done.stderr
