"""docker-compose.yml and the Dockerfile, as far as they can be judged without an engine."""

import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from apscheduler.triggers.cron import CronTrigger
from typer.main import get_command

from stream.cli.app import app
from stream.cli.role import ROLES
from stream.settings import Settings

REPOSITORY = Path(__file__).parents[3]
DEPLOY = REPOSITORY / "deploy"
COMPOSE = Path(sys.executable).with_name("docker-compose")
PINNED = re.compile(r"[\w./-]+:\d+\.\d+\.\d+[\w.-]*")


def run_compose(*arguments, env_file=DEPLOY / "example.env"):
    command = [str(COMPOSE), "--project-directory", str(REPOSITORY), "--env-file", str(env_file)]
    return subprocess.run(
        [*command, "-f", str(REPOSITORY / "docker-compose.yml"), "config", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={"HOME": "/nonexistent"},
    )


@cache
def services():
    done = run_compose("--format", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["services"]


def test_compose_itself_finds_no_mistake():
    done = run_compose("-q")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_without_a_password_nothing_starts_and_the_message_says_what_to_do(tmp_path):
    (tmp_path / "empty.env").write_text("")
    done = run_compose("-q", env_file=tmp_path / "empty.env")
    assert done.returncode != 0
    assert "copy deploy/example.env to .env" in done.stderr


def test_every_role_is_a_service_that_waits_for_its_servers_and_its_tables():
    for role in ROLES:
        service = services()[role]
        assert service["command"] == ["worker", "--role", role]
        assert service["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
        assert service["depends_on"]["kafka"]["condition"] == "service_healthy"
    assert services()["migrate"]["restart"] == "no"


@pytest.mark.parametrize("name", ["kafka", "timescale", "valkey", "migrate", "schedule", *ROLES])
def test_service_is_pinned_and_not_root_and_restarts_and_checks_its_health(name):
    service = services()[name]
    assert PINNED.fullmatch(service["image"])
    assert service["user"] not in ("", "0", "root")
    if name != "migrate":  # runs once
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"]
    for port in service.get("ports", ()):
        assert port["host_ip"] == "127.0.0.1"


def test_the_scheduler_has_what_learns_and_times_that_its_verb_takes():
    service = services()["schedule"]
    assert service["build"]["args"] == {"EXTRAS": "[train]"}
    assert service["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    verb, *options = service["command"]
    given = get_command(app).commands[verb].make_context(verb, options).params
    times = {job: at for job, at in given.items() if isinstance(at, str)}
    assert times.keys() == {"retrain", "drift", "outcomes", "served", "compare"}
    for at in times.values():
        CronTrigger.from_crontab(at)
    assert not given["promote"]
    assert not given["auto_promote"]


def test_roles_get_settings_that_exist_and_no_secret_is_written_here():
    for name, value in services()["score"]["environment"].items():
        assert name.removeprefix("TAPEWIRE_").lower() in Settings.model_fields, name
        assert value
    text = (REPOSITORY / "docker-compose.yml").read_text()
    assert "change-me" not in text
    assert "${POSTGRES_PASSWORD:?" in text


def test_image_is_pinned_and_runs_as_an_ordinary_user():
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    bases = [line.split()[1] for line in lines if line.startswith("FROM ")]
    assert len(bases) == 2
    assert all(PINNED.fullmatch(base) for base in bases)
    assert "USER 10001" in lines
    assert any(line.startswith("HEALTHCHECK ") for line in lines)


def test_image_holds_every_package_of_the_distribution():
    text = (DEPLOY / "Dockerfile").read_text()
    wanted = (REPOSITORY / ".dockerignore").read_text().splitlines()
    for package in ("stream", "models", "training", "sql"):
        assert f"COPY {package} {package}" in text
        assert f"!{package}" in wanted
