"""`tapewire study` on a real database: what was planted there is found, and nothing is stored."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from stream.archive.migrate import migrate
from stream.cli.app import app
from stream.events import SentimentScored
from stream.settings import Settings
from tests.e2e.servers import environment
from tests.fix_namespace import drop_schema
from tests.integration.training.test_history_order import store
from tests.unit.training_study.daily_market import INVERTED, make_days

pytestmark = pytest.mark.stack
N_DAYS, N_SYMBOLS = 200, 6


@pytest.fixture(scope="module")
def namespace_of_days(timescale: str) -> Iterator[dict[str, str]]:
    """The environment of a namespace with months of bars, and articles that move them."""
    schema = f"study_{uuid.uuid4().hex[:12]}"
    migrate(timescale, schema)
    events = make_days(N_DAYS, N_SYMBOLS)
    topics = [
        (at, event, "s" if isinstance(event, SentimentScored) else "t") for at, event in events
    ]
    store((timescale, schema), ((e, 0, i, at, topic) for i, (at, e, topic) in enumerate(topics)))
    yield environment(
        Settings(
            broker="127.0.0.1:1",
            database=SecretStr(timescale),
            redis=SecretStr("redis://127.0.0.1:1/0"),
            namespace=schema,
        ),
        TAPEWIRE_FEATURE_SET="daily",
        TAPEWIRE_TAPE="bars",
    )
    drop_schema(timescale, schema)


def studied(env: dict[str, str], *words: str) -> Any:
    done = CliRunner().invoke(app, ["study", *words, "--json"], env=env, catch_exceptions=False)
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def dataset(env: dict[str, str], horizon: str, folder: Path) -> str:
    out = str(folder / horizon)
    words = ["dataset", "build", out, "--horizon", horizon, "--jobs", "1"]
    done = CliRunner().invoke(app, words, env=env, catch_exceptions=False)
    assert done.exit_code == 0, done.stderr
    return out


def test_enhanced_labels_turn_the_inverted_source_round(
    namespace_of_days: dict[str, str], tmp_path: Path
) -> None:
    labels, page = tmp_path / "labels.parquet", tmp_path / "sentiment.html"
    words = ("sentiment", "--learner", "linear", "--out", str(labels), "--report", str(page))
    found = studied(namespace_of_days, *words)
    assert found["lines"][-1]["adds"]["low"] > 0.1
    says = {each["kind"]: each["says"] for each in found["stories"]}
    assert says[INVERTED] == "scored the wrong way round"
    assert found["sentence"] in page.read_text()

    table = pq.read_table(labels).to_pandas()
    assert len(table) == found["n_articles"] > 500
    assert table.enhanced.notna().sum() == found["n_judged"]
    assert (table.known_at < table.entry).all()
    judged = table.dropna(subset="enhanced")
    assert judged.known_at.min() > table[table.enhanced.isna()].known_at.quantile(0.9)
    turned = judged[judged.source == INVERTED]
    assert turned.text_score.corr(turned.enhanced) < -0.5
    assert turned.target.corr(turned.enhanced) > 0.2


def test_timing_is_judged_and_nothing_is_stored(
    namespace_of_days: dict[str, str], tmp_path: Path
) -> None:
    page = tmp_path / "timing.html"
    found = studied(namespace_of_days, "timing", "--report", str(page))
    assert set(found["most"]) == {"none", "1d", "2w"}
    assert found["verdict"]["says"] in ("PASS", "WARN", "FAIL")
    assert found["sentence"] in page.read_text()
    assert "tapewire study timing" in page.read_text()
    day, weeks = (dataset(namespace_of_days, each, tmp_path) for each in ("1d", "2w"))
    assert studied(namespace_of_days, "timing", "--from", weeks, "--from", day) == found
    listed = CliRunner().invoke(app, ["models", "list", "--json"], env=namespace_of_days)
    assert json.loads(listed.stdout) == []
