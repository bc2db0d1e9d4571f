"""The registry on a real database: save, load, promote, roll back, damage, no database."""

import uuid

import psycopg
import pytest

from models.artifact import Artifact, ArtifactError, Calibration, Member, with_version
from models.registry import Registry
from stream.archive.migrate import migrate
from tests.fix_namespace import drop_schema

pytestmark = pytest.mark.stack
VERDICT = {"says": "PASS", "checks": []}


def make_artifact(**changes):
    given = {
        "name": "lightgbm",
        "version": "",
        "members": (Member(role="direction", format="lightgbm", text="tree"),),
        "calibration": Calibration(scale=1.0, offsets=(0.0, 0.0, 0.0)),
        "feature_set": "intraday",
        "feature_set_version": 1,
        "feature_names": (),
        "sentiment_model": "lexicon-1",
        "horizon": "30m",
        "horizon_s": 1800.0,
        "threshold": 0.5,
        "trained_from_us": 1_600_000_000_000_000,
        "trained_until_us": 1_700_000_000_123_457,
        "n_rows": 10,
        "reference": (),
        "metrics": {"ic": 0.1, "mcc": None},
        "code_revision": "test",
        "wheels": {},
        "seed": 0,
        "parameters": {"num_leaves": 7.0},
        "data_fingerprint": "f00d",
    }
    return with_version(Artifact(**{**given, **changes}))


@pytest.fixture
def database(timescale):
    """DSN and a migrated schema of its own."""
    schema = f"registry_{uuid.uuid4().hex[:12]}"
    migrate(timescale, schema)
    yield timescale, schema
    drop_schema(timescale, schema)


@pytest.fixture
def registry(database):
    return Registry(*database)


def saved(registry, seed):
    artifact = make_artifact(seed=seed)
    registry.save(artifact, VERDICT)
    return artifact.version


def moves(database):
    dsn, schema = database
    with psycopg.connect(dsn) as connection:
        return connection.execute(
            f'SELECT from_version, to_version, actor, reason FROM "{schema}".ml_alias_moves '
            "ORDER BY id"
        ).fetchall()


def test_saved_artifact_loads_equal(registry):
    artifact = make_artifact()
    registry.save(artifact, VERDICT)
    assert registry.load(artifact.version) == artifact


def test_saving_again_changes_nothing(registry):
    assert saved(registry, 1) == saved(registry, 1)
    assert len(registry.list()) == 1


def test_show_tells_all_but_the_bytes(registry):
    version = saved(registry, 1)
    row = registry.show(version)
    assert row["metrics"] == {"ic": 0.1, "mcc": None}
    assert row["verdict"] == VERDICT
    assert row["trained_until"].microsecond == 123_457
    assert row["architecture"] == "direction: lightgbm"
    assert row["hyperparameters"] == {"num_leaves": 7.0}
    assert (row["code_revision"], row["data_fingerprint"]) == ("test", "f00d")
    assert "artifact" not in row
    assert row["n_bytes"] > 100


def test_no_champion_before_the_first_promotion(registry):
    assert registry.current("champion") == (None, None)


def test_promotion_moves_the_alias_and_leaves_an_audit_row(registry, database):
    first, second = saved(registry, 1), saved(registry, 2)
    registry.promote("champion", first, "ann", "first one")
    registry.promote("champion", second, "bob", "better")
    version, sha256 = registry.current("champion")
    assert (version, sha256) == (second, registry.show(second)["sha256"])
    assert [row["aliases"] for row in registry.list() if row["version"] == second] == [["champion"]]
    assert moves(database) == [
        (None, first, "ann", "promote: first one"),
        (first, second, "bob", "promote: better"),
    ]


def test_rollbacks_go_back_step_by_step_to_the_rules_model(registry, database):
    first, second, third = (saved(registry, i) for i in range(3))
    for version in (first, second, third):
        registry.promote("champion", version, "ann", "next")
    assert registry.rollback("champion", "ann", "drift") == second
    assert registry.rollback("champion", "ann", "drift") == first
    registry.promote("champion", third, "ann", "rollback: of the rollback")
    assert registry.rollback("champion", "ann", "drift") == first
    assert registry.rollback("champion", "ann", "drift") is None
    assert registry.current("champion") == (None, None)
    with pytest.raises(ArtifactError, match="expected an earlier version, found none"):
        registry.rollback("champion", "ann", "drift")
    assert len(moves(database)) == 8


def test_aliases_move_apart(registry):
    first, second = saved(registry, 1), saved(registry, 2)
    registry.promote("champion", first, "ann", "")
    registry.promote("challenger", second, "ann", "")
    assert registry.rollback("challenger", "ann", "") is None
    assert registry.current("champion")[0] == first


def test_promoting_an_unknown_version_moves_nothing(registry, database):
    with pytest.raises(ArtifactError, match="version nope: expected a stored model"):
        registry.promote("champion", "nope", "ann", "")
    assert moves(database) == []


def test_unknown_version_is_refused(registry):
    for read in (registry.load, registry.show):
        with pytest.raises(ArtifactError, match="tapewire models list"):
            read("nope")


def test_tampered_bytes_are_refused(registry, database):
    dsn, schema = database
    version = saved(registry, 1)
    with psycopg.connect(dsn) as connection:
        connection.execute(f'UPDATE "{schema}".ml_models SET artifact = set_byte(artifact, 40, 7)')
    with pytest.raises(ArtifactError, match="expected sha256"):
        registry.load(version)


def test_schema_without_tables_says_to_migrate(timescale):
    with pytest.raises(ArtifactError, match="run tapewire migrate"):
        Registry(timescale, "no_such_schema").list()


def test_database_that_does_not_answer_is_a_connection_error():
    with pytest.raises(ConnectionError, match="TAPEWIRE_DATABASE"):
        Registry("postgresql://postgres@127.0.0.1:1/postgres?connect_timeout=2", "x").list()


def test_what_a_check_refuses_moves_nothing(registry, database):
    first, second = saved(registry, 1), saved(registry, 2)
    registry.promote("champion", first, "ann", "")

    def check(artifact):
        artifact.check_fits("intraday", artifact.feature_set_version + 1, ())

    with pytest.raises(ArtifactError, match="expected version 2 of feature set 'intraday', got 1"):
        registry.promote("champion", second, "ann", "", check=check)
    assert registry.current("champion")[0] == first
    assert len(moves(database)) == 1


def test_damaged_bytes_are_never_promoted(registry, database):
    dsn, schema = database
    version = saved(registry, 1)
    with psycopg.connect(dsn) as connection:
        connection.execute(f'UPDATE "{schema}".ml_models SET artifact = set_byte(artifact, 40, 7)')
    with pytest.raises(ArtifactError, match="expected sha256"):
        registry.promote("champion", version, "ann", "")
    assert moves(database) == []
