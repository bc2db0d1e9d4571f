"""Verbs on stored models and their signals: models export, import, diff; explain."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from models.artifact import Reference, with_version
from models.explain import Explainer
from models.importances import importances
from models.registry import Registry
from stream.archive.migrate import migrate
from stream.cli.models import promote
from stream.errors import Refused
from stream.features.vector import FEATURE_SETS
from stream.settings import Settings
from tests.e2e.servers import environment, tapewire
from tests.fix_namespace import drop_schema
from tests.integration.sql.rows import T0, at, connect, insert, score, signal
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


def test_a_model_that_does_not_fit_the_namespace_is_not_promoted(
    timescale: str,
    registries: tuple[Registry, Registry, str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registry, _, schema, _ = registries
    features = FEATURE_SETS["intraday"]
    named = {
        "feature_set": "intraday",
        "feature_set_version": features.version,
        "feature_names": features.names,
        "reference": (Reference(missing=1.0, quantiles={}),) * len(features.names),
        "sentiment_model": "other-1",
    }
    scores = [score(f"n{i}", "AAPL", at(i), model="lexicon-1") for i in range(3)]
    with connect(timescale, schema) as connection:
        insert(connection, "sentiments", scores)
    for name, value in of(timescale, schema).items():
        monkeypatch.setenv(name, value)
    older = {"feature_set_version": features.version - 1}
    says = {
        "expected feature set 'intraday', got 'test'": {},
        f"expected version {features.version} of feature set 'intraday', "
        f"got {features.version - 1}": named | older,
        "expected sentiment model 'lexicon-1', got 'other-1'": named,
        f"expected {len(features.names)} features": named | {"sentiment_model": "lexicon-1"},
    }
    for why, changes in says.items():
        artifact = with_version(make_artifact(boosters(), **changes))
        registry.save(artifact, {"says": "PASS", "checks": []})
        with pytest.raises(Refused, match=re.escape(why)):
            promote(artifact.version)
        assert registry.current("champion") == (None, None)


def test_show_tells_what_a_model_was_made_of(
    timescale: str, registries: tuple[Registry, Registry, str, str]
) -> None:
    registry, _, schema, _ = registries
    made = {"parameters": {"num_leaves": 7}, "data_fingerprint": "f00d"}
    artifact = with_version(make_artifact(boosters(), **made))
    registry.save(artifact, {"says": "PASS", "checks": []})
    told = json.loads(tapewire(of(timescale, schema), "models", "show", artifact.version).stdout)
    assert told["architecture"] == "direction: lightgbm; return: lightgbm"
    assert (told["hyperparameters"], told["data_fingerprint"]) == ({"num_leaves": 7}, "f00d")
    assert list(told["importances"].items()) == list(importances(artifact).items())
