"""`models export`, `import` and `diff` from one namespace's registry to another's."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.artifact import with_version
from models.registry import Registry
from stream.archive.migrate import migrate
from tests.fix_namespace import drop_schema
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


def models(dsn: str, schema: str, *words: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("TAPEWIRE_")}
    return subprocess.run(
        [sys.executable, "-m", "stream.cli", "models", *words],
        env={
            **clean,
            "TAPEWIRE_BROKER": "127.0.0.1:1",
            "TAPEWIRE_DATABASE": dsn,
            "TAPEWIRE_REDIS": "redis://127.0.0.1:1/0",
            "TAPEWIRE_NAMESPACE": schema,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_model_goes_to_another_namespace_as_it_was(
    timescale: str, registries: tuple[Registry, Registry, str, str], tmp_path: Path
) -> None:
    here, there, one, other = registries
    artifact = with_version(make_artifact(boosters()))
    verdict = {"says": "PASS", "checks": []}
    here.save(artifact, verdict)
    file = tmp_path / "model.json"
    done = models(timescale, one, "export", artifact.version, "--out", str(file))
    assert done.returncode == 0, done.stderr
    pinned = ("--sha256", done.stdout.strip())
    done = models(timescale, other, "import", str(file), *pinned)
    assert (done.returncode, done.stdout.strip()) == (0, artifact.version), done.stderr
    assert there.load(artifact.version) == artifact
    assert there.show(artifact.version)["verdict"] == verdict
    assert there.current("champion") == (None, None)

    file.write_bytes(file.read_bytes()[:-100])
    done = models(timescale, other, "import", str(file), *pinned)
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
    done = models(timescale, schema, "diff", *versions, "--json")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == (
        f'[{{"what": "seed", "{versions[0]}": "0", "{versions[1]}": "1"}}]'
    )
    done = models(timescale, schema, "diff", versions[0], "nothing")
    assert done.returncode == 2
    assert "version nothing: expected a stored model, found none" in done.stderr
