"""The learning loop's verbs on what cannot be: one line that says what to do, and an exit code."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from models.registry import Registry
from stream.archive.migrate import migrate
from stream.cli.app import app
from stream.errors import Refused, TapewireError, Unavailable
from tests.artifacts import intraday_artifact
from tests.fix_namespace import drop_schema
from tests.integration.training.test_model_verbs import of

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def empty(timescale: str) -> Iterator[tuple[str, str]]:
    """The database's address, and a schema whose tables have no row."""
    schema = f"arguments_{uuid.uuid4().hex[:12]}"
    migrate(timescale, schema)
    yield timescale, schema
    drop_schema(timescale, schema)


def refusal(dsn: str, schema: str, verb: str) -> TapewireError:
    """The known error that ends a command; any other one is raised."""
    done = CliRunner().invoke(app, verb.split(), env=of(dsn, schema))
    if isinstance(done.exception, TapewireError):
        assert "\n" not in str(done.exception)
        return done.exception
    raise done.exception or AssertionError(f"{verb}: expected an error, got {done.output}")


VERBS = {
    "retrain": "expected stored history, got no ticks and no clock; load a dataset",
    "validate nope": "version nope: expected a stored model, found none; see tapewire models list",
    "models show nope": "version nope: expected a stored model, found none",
    "models diff nope nope": "version nope: expected a stored model, found none",
    "models promote nope": "version nope: expected a stored model, found none",
    "models promote nope --alias challenger": "version nope: expected a stored model, found none",
    "outcomes": "nothing was scored here yet: run tapewire worker",
    "compare": "nothing was scored here yet: run tapewire worker",
    "backtest": "nothing was scored here yet: run tapewire worker",
    "served": "nothing was scored here yet: run tapewire worker",
    "verify": "nothing was scored here yet: run tapewire worker",
    "drift": "expected a champion, found none",
    "explain nope": "signal nope: expected a stored signal, found none",
}


@pytest.mark.parametrize("verb", VERBS)
def test_where_there_is_nothing_the_verb_says_what_it_expected(
    empty: tuple[str, str], verb: str
) -> None:
    assert VERBS[verb] in str(refusal(*empty, verb))


@pytest.mark.parametrize("verb", [*VERBS, "models list"])
def test_a_database_that_is_away_is_named_in_one_line(verb: str) -> None:
    error = refusal("postgresql://postgres@127.0.0.1:1/tapewire", "any", verb)
    assert (type(error), error.exit_code) == (Unavailable, 5)
    assert str(error).startswith("TAPEWIRE_DATABASE: connection failed")


@pytest.mark.parametrize("verb", ["models list", "drift", "explain nope", "compare"])
def test_a_database_that_refuses_us_is_no_server_away(timescale: str, verb: str) -> None:
    stranger = timescale.replace("//postgres@", "//nobody_here@")
    assert stranger != timescale
    error = refusal(stranger, "any", verb)
    assert (type(error), error.exit_code) == (Refused, 2)
    assert "let this user in, or name another user or database" in str(error)


def test_a_look_for_drift_without_a_champion_has_not_failed(empty: tuple[str, str]) -> None:
    done = CliRunner().invoke(app, ["drift", "--if-any", "--json"], env=of(*empty))
    assert done.exit_code == 0, done.output
    assert '{"says": null}' in done.output


@pytest.mark.parametrize(
    "verb", ["backtest", "served", "verify", "validate nope", "dataset build x"]
)
def test_a_span_that_ends_before_it_begins_is_refused(empty: tuple[str, str], verb: str) -> None:
    error = refusal(*empty, f"{verb} --since 2024-03-02 --until 2024-03-01")
    assert str(error).startswith("--until: expected a time after --since 2024-03-02")


def test_with_the_broker_away_no_alias_is_moved(empty: tuple[str, str]) -> None:
    registry, artifact = Registry(*empty), intraday_artifact(shares=(0.3, 0.3, 0.4))
    registry.save(artifact, {"says": "PASS"})
    error = refusal(*empty, f"models promote {artifact.version}")
    assert (type(error), error.exit_code) == (Unavailable, 5)
    assert "is the broker running there?" in str(error)
    assert registry.current("champion") == (None, None)
