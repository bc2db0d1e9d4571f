"""Verbs on stored models and their signals: models export, import, diff; explain."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from models.artifact import with_version
from models.explain import Explainer
from models.registry import Registry
from stream.archive.migrate import migrate
from stream.settings import Settings
from tests.e2e.servers import environment, tapewire
from tests.fix_namespace import drop_schema
from tests.integration.sql.rows import T0, connect, insert, signal
from tests.unit.models.test_artifact_scorer import boosters, make_artifact

pytestmark = pytest.mark.stack


@pytest.fixture
def registries(timescale: str) -> Iterator[tuple[Registry, Registry, str, str]]:
    one, other = (f"models_{uuid.uuid4().hex[:12]}" for _ in range(2))
    for schema in (one, other):
        migrate(timescale, schema)
    yield Registry(timescale, one), Registry(timescale, other), one, other
    for schema in (one, other):
        drop_schema(timescale, schema)


def of(dsn: str, schema: str) -> dict[str, str]:
    """The environment of a namespace that has no broker and no cache."""
    redis = SecretStr("redis://127.0.0.1:1/0")
    return environment(
        Settings(broker="127.0.0.1:1", database=SecretStr(dsn), redis=redis, namespace=schema)
    )


def test_a_model_goes_to_another_namespace_as_it_was(
    timescale: str, registries: tuple[Registry, Registry, str, str], tmp_path: Path
) -> None:
    here, there, one, other = registries
    artifact = with_version(make_artifact(boosters()))
    verdict = {"says": "PASS", "checks": []}
    here.save(artifact, verdict)
    file = tmp_path / "model.json"
    done = tapewire(of(timescale, one), "models", "export", artifact.version, "--out", str(file))
    assert done.returncode == 0, done.stderr
    pinned = ("--sha256", done.stdout.strip())
    done = tapewire(of(timescale, other), "models", "import", str(file), *pinned)
    assert (done.returncode, done.stdout.strip()) == (0, artifact.version), done.stderr
    assert there.load(artifact.version) == artifact
    assert there.show(artifact.version)["verdict"] == verdict
    assert there.current("champion") == (None, None)

    file.write_bytes(file.read_bytes()[:-100])
    done = tapewire(of(timescale, other), "models", "import", str(file), *pinned)
    assert done.returncode == 2
    assert "expected a file of tapewire models export" in done.stderr


def test_two_stored_models_differ_in_what_the_command_tells(
    timescale: str, registries: tuple[Registry, Registry, str, str]
) -> None:
    here, _, schema, _ = registries
    versions = []
    for seed in (0, 1):
        artifact = with_version(make_artifact(boosters(), seed=seed))
        here.save(artifact, {"says": "PASS", "checks": []})
        versions.append(artifact.version)
    done = tapewire(of(timescale, schema), "models", "diff", *versions, "--json")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == (
        f'[{{"what": "seed", "{versions[0]}": "0", "{versions[1]}": "1"}}]'
    )
    done = tapewire(of(timescale, schema), "models", "diff", versions[0], "nothing")
    assert done.returncode == 2
    assert "version nothing: expected a stored model, found none" in done.stderr


def test_a_stored_signal_is_explained_by_the_model_that_made_it(
    timescale: str, registries: tuple[Registry, Registry, str, str]
) -> None:
    registry, _, schema, _ = registries
    artifact = with_version(make_artifact(boosters()))
    registry.save(artifact, {"says": "PASS", "checks": []})
    vector = [2.0, None, -0.3, 0.0]
    made = {"model_name": "lightgbm", "model_version": artifact.version, "features": vector}
    rules = signal("k2", "AAPL", T0, signal_id="ruled", reasons=["good news"])
    with connect(timescale, schema) as connection:
        insert(connection, "signals", [signal("k1", "AAPL", T0, signal_id="made", **made), rules])

    done = tapewire(of(timescale, schema), "explain", "made", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    found = Explainer(artifact).explain(vector)
    by_feature = {each.feature: each.log_odds for each in found.contributions}
    assert (told["model"], told["contributions"]) == (artifact.version, by_feature)
    shown = tapewire(of(timescale, schema), "explain", "made", "--top", "1").stdout
    assert "AAPL BULLISH as of 2024-03-05 14:00:00+00:00 by lightgbm" in shown
    assert "3 others" in shown

    for signal_id, why in (("ruled", "its reasons are the whole of it: good news"),
                           ("none", "expected a stored signal, found none")):  # fmt: skip
        done = tapewire(of(timescale, schema), "explain", signal_id)
        assert done.returncode == 2
        assert why in done.stderr
