"""`tapewire outcomes` and `tapewire compare` on stored signals of two models."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from math import log
from typing import Any

import numpy as np
import psycopg
import pytest
from typer.testing import CliRunner

from models.registry import Registry
from stream.archive.migrate import migrate
from stream.cli.app import app
from stream.engine.topics import create_topics
from stream.errors import Refused
from stream.events import ModelChanged, decode
from stream.settings import Settings
from tests.artifacts import intraday_artifact
from tests.e2e.servers import environment
from tests.integration.engine.log import read
from tests.integration.sql.rows import Row, at, bar, connect, insert, signal
from tests.integration.training.test_backtest_verb import policy
from training.confidence import interval

pytestmark = pytest.mark.stack

DAY = 24 * 60.0  # minutes
N_DAYS = 40
HOUR = {"names": ["volatility_realised_1h"], "feature_set": "intraday", "version": 1}


@pytest.fixture
def mine(settings: Callable[..., Settings]) -> Settings:
    """A namespace whose registry has a champion that knows nothing and two challengers."""
    made = settings()
    dsn, schema = made.database.get_secret_value(), made.namespace
    migrate(dsn, schema)
    registry = Registry(dsn, schema)
    for alias, shares in (
        ("champion", (0.34, 0.33, 0.33)),
        ("challenger", (0.1, 0.1, 0.8)),
        ("challenger", (0.2, 0.2, 0.6)),
    ):
        artifact = intraday_artifact(shares=shares)
        registry.save(artifact, {"says": "PASS"})
        registry.promote(alias, artifact.version, "ann", "first")
    with connect(dsn, schema) as connection:
        policy(connection, tape="ticks", feature_set="intraday")
        insert(connection, "feature_sets", [HOUR])
    return made


def database(mine: Settings) -> psycopg.Connection:
    return connect(mine.database.get_secret_value(), mine.namespace)


def told(mine: Settings, *words: str) -> Any:
    """What a command says, as JSON."""
    done = CliRunner().invoke(
        app, [*words, "--json"], env=environment(mine), catch_exceptions=False
    )
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def versions(mine: Settings) -> tuple[str, str]:
    registry = Registry(mine.database.get_secret_value(), mine.namespace)
    return str(registry.current("champion")[0]), str(registry.current("challenger")[0])


def scored(minute: float, models: tuple[str, str]) -> tuple[Row, Row]:
    """One moment's signal of the champion, and its shadow."""
    same = {"signal_id": f"at {minute}", "feature_set_version": 1, "features": [0.01],
            "valid_until": at(minute + 30)}  # fmt: skip
    flat = {"p_bearish": 0.34, "p_neutral": 0.33, "p_bullish": 0.33, "actionable": False}
    bull = {"p_bearish": 0.2, "p_neutral": 0.2, "p_bullish": 0.6}
    champion = signal("k", "AAA", at(minute), model_version=models[0], model_role="champion",
                      **same, **flat)  # fmt: skip
    shadow = signal("k", "AAA", at(minute), model_version=models[1], model_role="challenger",
                    **same, **bull)  # fmt: skip
    return champion, shadow


def pane(minute: float, price: float) -> Row:
    return bar("AAA", at(minute + 1), price, bar_start=at(minute), origin="pane", notional=price)


def days_of(
    models: tuple[str, str], rises: Callable[[int], bool]
) -> tuple[list[Row], list[Row], list[Row]]:
    """Signals, shadows and panes of days of eight signals each; `rises` tells of the i-th."""
    pairs, panes = [], []
    for day in range(N_DAYS):
        for i in range(8):
            minute = day * DAY + 40 * i
            pairs.append(scored(minute, models))
            after = 102.0 if rises(i) else 98.0
            panes += [pane(minute + 1, 100.0), pane(minute + 31, after)]
    champion, shadow = zip(*pairs, strict=True)
    return list(champion), list(shadow), panes


def test_a_better_challenger_is_promoted_on_matured_days_and_the_audit_says_why(
    mine: Settings,
) -> None:
    asyncio.run(create_topics(mine))
    models = versions(mine)
    signals, shadows, panes = days_of(models, rises=lambda i: i < 7)
    with database(mine) as db:
        insert(db, "signals", signals)
        insert(db, "shadow_signals", shadows)
        insert(db, "bars", panes[: 12 * 16])
        early = told(mine, "outcomes")
        waiting = told(mine, "compare", "--auto-promote")
        insert(db, "bars", panes[12 * 16 :])
        late = told(mine, "outcomes", "--since", "2024-03-05")
        again = told(mine, "outcomes")
        stored = db.execute("SELECT y, forward_return FROM outcomes ORDER BY as_of").fetchall()
    assert early == {"labelled": 12 * 8, "unmatured": (N_DAYS - 12) * 8}
    assert (waiting["days"], waiting["promoted"]) == (12, False)
    assert "matured days: expected at least 20, got 12" in waiting["missing"][0]
    assert (late, again) == ({"labelled": (N_DAYS - 12) * 8, "unmatured": 0}, {})

    better = {0: log(0.2 / 0.34), 1: log(0.2 / 0.33), 2: log(0.6 / 0.33)}
    by_day = np.array([better[y] for y, _ in stored]).reshape(N_DAYS, 8).mean(axis=1)[:-1]
    found = told(mine, "compare")
    assert found["better"] == pytest.approx(by_day.mean())
    assert found["alpha"] == pytest.approx(0.05 / 6)
    sure = interval(by_day, np.full(N_DAYS - 1, better[2]), 0.05 / 6)
    assert (found["low"], found["high"]) == pytest.approx(sure)
    won = np.array([forward for _, forward in stored]).reshape(N_DAYS, 8)[:-1]
    # A side costs 5 bp of what is traded: at the entry, and at the exit's price.
    assert found["return_bps"] == pytest.approx((won - 5e-4 * (2 + won)).sum(axis=1).mean() * 1e4)
    assert (found["missing"], found["promoted"]) == ([], False)

    done = told(mine, "compare", "--auto-promote")
    assert done["promoted"] is True
    assert versions(mine)[0] == models[1]
    with database(mine) as db:
        (why,) = db.execute("SELECT reason FROM ml_alias_moves ORDER BY id DESC LIMIT 1").fetchone()  # type: ignore[misc]
    assert f"compare with {models[0]}: log-loss better by 0." in why
    (moved,) = [raw for records in read(mine, "models").values() for _, raw in records]
    assert decode(ModelChanged, moved).version == models[1]
    with pytest.raises(Refused, match=f"expected two models, got {models[1]} twice"):
        told(mine, "compare")


def test_a_challenger_that_is_no_better_stays_one(mine: Settings) -> None:
    models = versions(mine)
    signals, shadows, panes = days_of(models, rises=lambda i: i < 4)
    with database(mine) as db:
        insert(db, "signals", signals)
        insert(db, "shadow_signals", shadows)
        insert(db, "bars", panes)
    told(mine, "outcomes")
    found = told(mine, "compare", "--auto-promote")
    assert found["low"] < 0 < found["high"]
    assert (found["promoted"], versions(mine)) == (False, models)
    assert any(each.startswith("lower bound of the log-loss") for each in found["missing"])
    shown = CliRunner().invoke(app, ["compare"], env=environment(mine)).stdout
    assert "missing for a promotion: lower bound of the log-loss" in shown


def test_the_view_tells_each_model_what_became_of_its_signal(mine: Settings) -> None:
    models = versions(mine)
    champion, shadow = scored(0, models)
    never = signal("n", "AAA", at(500), signal_id="never", features=[0.01])
    no_names = signal("x", "AAA", at(0.5), signal_id="named", features=[],
                      features_by_name={"volatility_realised_1h": 0.1})  # fmt: skip
    with database(mine) as db:
        insert(db, "signals", [champion, never, no_names])
        insert(db, "shadow_signals", [shadow])
        insert(db, "bars", [pane(1, 100.0), pane(31, 103.0), pane(1_000, 100.0)])
        assert told(mine, "outcomes") == {"labelled": 2, "no entry": 1, "unmatured": 0}
        assert told(mine, "outcomes") == {}
        rows = db.execute(
            "SELECT signal_id, model_version, published, y, left_out, forward_return "
            "FROM signal_outcomes ORDER BY as_of, published"
        ).fetchall()
    assert [row[:5] for row in rows] == [
        ("at 0", models[1], False, 2, None),
        ("at 0", models[0], True, 2, None),
        ("named", "1", True, 1, None),
        ("never", "1", True, None, "no entry"),
    ]
    assert rows[0][5] == pytest.approx(0.03)
    found = told(mine, "compare")  # the one day that both scored may still go on
    assert [found[each] for each in ("days", "days_waiting", "better", "low")] == [0, 1, None, None]


def test_without_a_challenger_the_command_says_what_to_do(mine: Settings) -> None:
    registry = Registry(mine.database.get_secret_value(), mine.namespace)
    assert registry.rollback("challenger", "ann", "") is not None
    assert registry.rollback("challenger", "ann", "") is None
    with pytest.raises(Refused, match="tapewire models promote VERSION --alias challenger"):
        told(mine, "compare")
    assert told(mine, "compare", "--auto-promote", "--if-any") == {"promoted": False}
