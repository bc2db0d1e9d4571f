"""`tapewire drift` on stored signals: quiet while nothing moved, then it names what did."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import pytest

from models.artifact import with_version
from models.registry import Registry
from stream.archive.migrate import migrate
from stream.events import micros
from tests.e2e.servers import tapewire
from tests.fix_namespace import drop_schema
from tests.integration.sql.rows import connect, insert, signal
from tests.integration.training.test_model_verbs import of
from tests.unit.models.test_artifact_scorer import boosters, make_artifact

pytestmark = pytest.mark.stack
START = datetime(2024, 1, 1, 15, tzinfo=UTC)
DAY = timedelta(days=1)
N_TRAINED, N_FIRST, N_WINDOW, A_DAY = 40, 8, 5, 40


@pytest.fixture
def stored(timescale, namespace):
    """Signals of 40 days of training, then 13 live ones whose outcomes are as they were said."""
    migrate(timescale, namespace)
    draw = np.random.default_rng(0)
    rows = draw.normal(size=((N_TRAINED + N_FIRST + N_WINDOW) * A_DAY, 4))
    fitted = make_artifact((rows[: N_TRAINED * A_DAY], *boosters()[1:]))
    artifact = with_version(
        msgspec.structs.replace(
            fitted,
            version="",
            trained_from_us=micros(START),
            trained_until_us=micros(START + N_TRAINED * DAY - timedelta(hours=20)),
        )
    )
    registry = Registry(timescale, namespace)
    registry.save(artifact, {})
    registry.promote("champion", artifact.version, "ann", "better")
    p, signals, outcomes = (0.3, 0.3, 0.4), [], []
    for i, vector in enumerate(rows.tolist()):
        at = START + (i // A_DAY) * DAY + (i % A_DAY) * timedelta(minutes=1)
        live = i >= N_TRAINED * A_DAY
        made = {"signal_id": f"s{i}", "feature_set": "test", "trigger": "pane", "features": vector}
        said = draw.dirichlet(np.array(p) * 30)
        made |= dict(zip(("p_bearish", "p_neutral", "p_bullish"), said.tolist(), strict=True))
        made |= {"model_version": artifact.version} if live else {}
        signals.append(signal(f"k{i}", "AAPL", at, **made))
        if live:
            y = int(draw.choice(3, p=said))
            outcomes.append({"signal_id": f"s{i}", "as_of": at, "symbol": "AAPL", "horizon": "30m",
                             "y": y, "forward_return": 0.0, "matured_at": at})  # fmt: skip
    with connect(timescale, namespace) as connection:
        insert(connection, "signals", signals)
        insert(connection, "outcomes", outcomes)
    yield timescale, namespace
    drop_schema(timescale, namespace)


def test_drift_is_quiet_until_a_feature_and_the_outcomes_move(stored, tmp_path):
    dsn, schema = stored
    done = tapewire(of(dsn, schema), "drift", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert (told["days"], told["reference_days"]) == (N_WINDOW, N_TRAINED)
    assert (told["rows"], told["matured"]) == (N_WINDOW * A_DAY, N_WINDOW * A_DAY)
    assert {each["says"] for each in told["findings"]} == {"PASS"}
    assert len(told["findings"]) == 2 * 4 + 1 + 3
    assert len(told["loss_by_day"]) == N_FIRST + N_WINDOW

    since = START + (N_TRAINED + N_FIRST) * DAY - timedelta(hours=15)
    with connect(dsn, schema) as connection:
        connection.execute(
            "UPDATE signals SET features[2] = features[2] + 3, features[4] = NULL, "
            "p_bullish = p_bullish + p_neutral, p_neutral = 0 WHERE as_of >= %s",
            [since],
        )
    page = tmp_path / "drift.html"
    asked = ("drift", "--since", f"{since:%Y-%m-%d}", "--html", str(page))
    done = tapewire(of(dsn, schema), *asked)
    assert done.returncode == 1, done.stderr
    with connect(dsn, schema) as connection:
        rows = connection.execute("SELECT says, report FROM drift_reports ORDER BY at").fetchall()
    assert [says for says, _ in rows] == ["PASS", "FAIL"]
    failed = {each["name"] for each in rows[1][1]["findings"] if each["says"] == "FAIL"}
    assert failed == {
        "feature b: PSI", "feature d: share without a value",
        "log-loss above the first weeks'", "P(bullish) off what came true",
    }  # fmt: skip
    warned = {each["name"] for each in rows[1][1]["findings"] if each["says"] == "WARN"}
    assert warned == {"score: PSI"}  # eight first days are too few for a band
    assert "feature b: PSI" in page.read_text()
