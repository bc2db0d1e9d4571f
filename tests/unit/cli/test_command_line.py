"""Every verb has an example and a README line; a mistake is one line and an exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stream.cli.app import app
from stream.cli.benchmark import benchmark
from stream.cli.cache import cache
from stream.cli.dataset import dataset
from stream.cli.dlq import dlq
from stream.cli.models import models
from stream.cli.role import ROLES
from stream.cli.sentiment import sentiment
from stream.cli.study import study
from stream.errors import Refused
from stream.events import EVENTS
from stream.settings import read_settings

REPO = Path(__file__).parents[3]
VERBS = [
    command.callback
    for group in (app, benchmark, dataset, models, dlq, cache, sentiment, study)
    for command in group.registered_commands
]


def run(*words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("TAPEWIRE_")}
    return subprocess.run(
        [sys.executable, "-m", "stream.cli", *words],
        env={**clean, **settings, "PYTHONPATH": str(REPO)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.__name__)
def test_a_verb_has_an_example(verb: object) -> None:
    assert "Example: " in (verb.__doc__ or "")


@pytest.mark.parametrize("verb", app.registered_commands, ids=lambda c: c.callback.__name__)
def test_a_verb_has_a_line_in_the_readme(verb: object) -> None:
    name = verb.callback.__name__  # type: ignore[attr-defined]
    assert f"| `tapewire {name}" in (REPO / "README.md").read_text()


def test_verbs_are_there_before_what_only_some_of_them_need() -> None:
    """A second of imports a command was more than most commands take."""
    heavy = "numpy", "faust", "redis", "lightgbm", "sklearn", "torch", "plotly"
    told = f"import sys, stream.cli.app; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", told], cwd=REPO, capture_output=True, check=True)
    assert done.stdout.decode().strip() == "[]"


def test_schema_prints_each_event_as_json_schema() -> None:
    result = CliRunner().invoke(app, ["schema"])
    assert set(json.loads(result.stdout)) == set(EVENTS)


def test_an_unknown_event_is_one_line_and_exit_code_2() -> None:
    done = run("schema", "Nonsense")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "expected one of NewsArticle" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("TAPEWIRE_MODE", "past", "TAPEWIRE_MODE: Input should be 'live' or 'replay'"),
        ("TAPEWIRE_NAMESPACE", "No-Good", "TAPEWIRE_NAMESPACE: String should match"),
        ("TAPEWIRE_PARTITIONS", "0", "TAPEWIRE_PARTITIONS: Input should be greater than 0"),
        ("TAPEWIRE_CONFIDENCE", "1.5", "TAPEWIRE_CONFIDENCE: Input should be less than or equal"),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_it(name: str, value: str, says: str) -> None:
    done = run("worker", "--role", "score", **{name: value})
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_wrong_role_is_refused_before_anything_starts() -> None:
    done = run("worker", "--role", "nobody")
    assert done.returncode == 2
    assert f"expected one of {', '.join(ROLES)} or all, got 'nobody'" in done.stderr


def test_a_spare_works_once_it_is_told_to_and_goes_when_nobody_can_tell_it() -> None:
    command = [sys.executable, "-m", "stream.cli.role", "clock", "--spare"]
    env = {**os.environ, **NOWHERE, "PYTHONPATH": str(REPO)}
    abandoned = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, timeout=60, check=False)
    assert abandoned.returncode == 0
    with subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as told:
        assert told.stdin is not None
        assert told.stderr is not None
        told.stdin.write(b"\n")
        told.stdin.close()
        assert b"waiting for the broker" in told.stderr.readline()
        told.terminate()


def test_a_folder_that_is_no_dataset_is_refused_with_what_was_expected(tmp_path: Path) -> None:
    done = run("load", str(tmp_path))
    assert done.returncode == 2
    assert "expected one tape" in done.stderr


def test_a_secret_is_not_printed_with_the_settings() -> None:
    settings = read_settings(database="postgresql://me:hunter2@db/market")
    assert "hunter2" not in repr(settings)


def test_a_setting_given_wrongly_in_code_is_refused_too() -> None:
    with pytest.raises(Refused, match="TAPEWIRE_LATENESS_S"):
        read_settings(lateness_s=-1)


def test_check_says_which_servers_do_not_answer_and_exits_1() -> None:
    done = run(
        "check",
        "--json",
        TAPEWIRE_BROKER="127.0.0.1:1",
        TAPEWIRE_DATABASE="postgresql://me:hunter2@127.0.0.1:1/none",
        TAPEWIRE_REDIS="redis://127.0.0.1:1/0",
    )
    assert done.returncode == 1
    assert not any(one["ok"] for one in json.loads(done.stdout).values())
    assert "hunter2" not in done.stdout + done.stderr


NOWHERE = {
    "TAPEWIRE_BROKER": "127.0.0.1:1",
    "TAPEWIRE_DATABASE": "postgresql://me:hunter2@127.0.0.1:1/none",
}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("list --topic signals", "--topic: expected one of news"),
        ("list --role boss", "--role: expected one of sentiment"),
        ("list --fate lost", "--fate: expected one of open"),
        ("list --by colour", "--by: expected one of role"),
        ("replay", "expected either names of letters or --all"),
        ("replay 0:1 --all", "expected either names of letters or --all"),
        ("replay 0:1 --role score", "expected filters beside --all only"),
        ("replay 0:1 --fate all", "expected filters beside --all only"),
    ],
)
def test_a_wrong_word_to_dlq_is_refused_before_any_server_is_asked(words: str, says: str) -> None:
    with pytest.raises(Refused, match=says):
        CliRunner().invoke(app, ["dlq", *words.split()], env=NOWHERE, catch_exceptions=False)


@pytest.mark.parametrize("words", ["list", "show 0:1", "replay 0:1", "drop 0:1"])
def test_dlq_without_its_database_is_one_line_and_exit_code_5(words: str) -> None:
    done = run("dlq", *words.split(), **NOWHERE)
    assert done.returncode == 5
    assert "TAPEWIRE_DATABASE: " in done.stderr
    assert "hunter2" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_replay_names_the_servers_that_it_misses() -> None:
    done = run("dlq", "replay", "0:1", TAPEWIRE_DATABASE=NOWHERE["TAPEWIRE_DATABASE"])
    assert done.returncode == 2
    assert "expected TAPEWIRE_BROKER, found none" in done.stderr


@pytest.mark.parametrize("words", ["stats", "invalidate"])
def test_cache_without_its_server_is_one_line_and_exit_code_5(words: str) -> None:
    done = run("cache", words, TAPEWIRE_REDIS="redis://:hunter2@127.0.0.1:1/0")
    assert done.returncode == 5
    assert "TAPEWIRE_REDIS: " in done.stderr
    assert "hunter2" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
