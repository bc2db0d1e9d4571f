"""What cannot be learnt from or judged: said in one line, with its exit code, nothing promoted."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from models.artifact import Artifact, with_version
from models.registry import Registry
from stream.archive.migrate import migrate
from stream.errors import Refused
from stream.features.vector import FEATURE_SETS
from stream.settings import Settings
from tests.e2e.servers import environment, tapewire
from tests.factories import policy
from tests.fix_namespace import drop_schema
from tests.unit.models.test_artifact_scorer import boosters, make_artifact
from tests.unit.training.test_train_model import make_table
from training.gates import Gates
from training.retrain import champion_of
from training.validate import validate

pytestmark = pytest.mark.stack
INTRADAY = FEATURE_SETS["intraday"]


@pytest.fixture(scope="module")
def database(timescale: str) -> Iterator[tuple[str, str]]:
    schema = f"badinput_{uuid.uuid4().hex[:12]}"
    migrate(timescale, schema)
    yield timescale, schema
    drop_schema(timescale, schema)


def stored(database: tuple[str, str], **changes: object) -> Artifact:
    artifact = with_version(make_artifact(boosters(), **changes))
    Registry(*database).save(artifact, {"says": "PASS", "checks": []})
    return artifact


def alone(database: tuple[str, str]) -> dict[str, str]:
    """The environment of a namespace that has no broker and no cache."""
    dsn, schema = database
    redis = SecretStr("redis://127.0.0.1:1/0")
    return environment(
        Settings(broker="127.0.0.1:1", database=SecretStr(dsn), redis=redis, namespace=schema)
    )


def damage(database: tuple[str, str], artifact: Artifact, change: str) -> None:
    dsn, schema = database
    with psycopg.connect(dsn) as connection:
        connection.execute(
            f'UPDATE "{schema}".ml_models SET {change} WHERE version = %s', [artifact.version]
        )


def judged_again(database: tuple[str, str], artifact: Artifact) -> None:
    nothing_more = {"since_us": None, "until_us": None, "seed": 0, "gates": Gates()}
    validate(*database, artifact.version, policy(), **nothing_more)


CUT = "artifact = substring(artifact for octet_length(artifact) / 2)"
OTHER_HASH = "sha256 = repeat('0', 64)"


@pytest.mark.parametrize("change", [CUT, OTHER_HASH])
def test_artifact_cut_in_half_or_of_another_hash_is_not_judged(
    database: tuple[str, str], change: str
) -> None:
    artifact = stored(database, seed=len(change))
    damage(database, artifact, change)
    with pytest.raises(Refused, match="artifact damaged: expected sha256"):
        judged_again(database, artifact)


def test_model_of_an_older_feature_set_is_not_judged(database: tuple[str, str]) -> None:
    older = stored(database, feature_set="intraday", feature_set_version=INTRADAY.version - 1)
    with pytest.raises(Refused, match=r"expected version . of feature set 'intraday', got .; retr"):
        judged_again(database, older)


def test_damaged_champion_ends_a_training_before_it_promotes(database: tuple[str, str]) -> None:
    champion = stored(database, seed=77)
    registry = Registry(*database)
    registry.promote("champion", champion.version, "test", "to be damaged")
    damage(database, champion, CUT)
    with pytest.raises(Refused, match="champion: artifact damaged"):
        champion_of(registry, INTRADAY, make_table().rule.horizon)
    assert registry.current("champion")[0] == champion.version
    registry.promote("champion", stored(database, seed=78).version, "test", "a whole one again")


def test_namespace_without_history_is_refused_by_the_command(database: tuple[str, str]) -> None:
    registry = Registry(*database)
    before = registry.current("champion")
    done = tapewire(alone(database), "retrain", "--promote")
    assert done.returncode == 3
    assert "expected stored history, got no ticks and no clock" in done.stderr
    assert registry.current("champion") == before


def test_file_of_no_gates_is_refused_by_the_command(
    database: tuple[str, str], tmp_path: Path
) -> None:
    (tmp_path / "gates.toml").write_text("max_sharp = 5.0")
    done = tapewire(alone(database), "retrain", "--gates", str(tmp_path / "gates.toml"))
    assert done.returncode == 2
    assert "unknown field `max_sharp`" in done.stderr
    assert "max_sharpe" in done.stderr
