"""Broker, PostgreSQL and Valkey from pip alone: up, used, and gone with their owner."""

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
import redis
from confluent_kafka.admin import AdminClient

from stream.embedded.postgres import start_postgres
from stream.embedded.process import own_folder
from stream.embedded.services import start_embedded
from stream.errors import Unavailable
from stream.settings import Settings

OWNER = Path(__file__).with_name("owner.py")
REPOSITORY = Path(__file__).parents[3]


def processes_in(folder):
    """Process numbers of the servers that work in `folder`."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if process.joinpath("cwd").readlink().is_relative_to(folder):
                found.add(int(process.name))
    return found


def until_none_in(folder, limit_s=5.0):
    until = time.monotonic() + limit_s
    while left := processes_in(folder):
        assert time.monotonic() < until, f"left over: {left}"
        time.sleep(0.02)


@contextlib.contextmanager
def owner(folder):
    """Another process that runs the services; yields it and their environment."""
    process = subprocess.Popen(
        [sys.executable, str(OWNER), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    try:
        yield process, json.loads(process.stdout.readline())
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait(30)


def all_answer(environment):
    """A number stored in the database by this call and the ones before it."""
    with psycopg.connect(environment["TAPEWIRE_DATABASE"]) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS calls (n int)")
        connection.execute("INSERT INTO calls VALUES (1)")
        n = connection.execute("SELECT count(*) FROM calls").fetchone()[0]
    with redis.Redis.from_url(environment["TAPEWIRE_REDIS"]) as client:
        assert client.ping()
    admin = AdminClient({"bootstrap.servers": environment["TAPEWIRE_BROKER"]})
    assert "some.topic" in admin.list_topics("some.topic", timeout=5).topics
    return n


def test_all_three_answer_on_loopback_and_none_is_left_after_the_block(tmp_path):
    with start_embedded(tmp_path) as services:
        environment = services.environment()
        assert all_answer(environment) == 1
        assert len(processes_in(tmp_path)) >= 2
    until_none_in(tmp_path)
    for name in ("BROKER", "DATABASE", "REDIS"):
        assert "127.0.0.1:" in environment[f"TAPEWIRE_{name}"]


def test_environment_makes_settings_of_an_embedded_run(tmp_path, monkeypatch):
    with start_embedded(tmp_path) as services:
        for name, value in services.environment().items():
            monkeypatch.setenv(name, value)
        settings = Settings()
    assert settings.embedded
    assert settings.run_id


def test_killed_owner_leaves_no_process_and_the_next_start_finds_its_data(tmp_path):
    with owner(tmp_path) as (process, environment):
        all_answer(environment)
        process.kill()
        process.wait(30)
        until_none_in(tmp_path)
    with owner(tmp_path) as (_, environment):
        assert all_answer(environment) == 2
    until_none_in(tmp_path)


def test_two_owners_at_once_share_nothing(tmp_path):
    with owner(tmp_path) as (_, one), owner(tmp_path) as (_, other):
        assert not set(one.values()) & set(other.values()) - {"true"}
        assert all_answer(one) == all_answer(other) == 1
    assert sorted(folder.name for folder in tmp_path.iterdir()) == ["run-1", "run-2"]


def test_second_start_on_the_same_data_uses_the_running_server(tmp_path):
    with start_postgres(tmp_path / "data") as first:
        with start_postgres(tmp_path / "data") as second:
            assert second.dsn == first.dsn
        with psycopg.connect(first.dsn) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_killed_first_start_is_made_anew(tmp_path):
    (tmp_path / "data.new").mkdir()
    (tmp_path / "data.new" / "PG_VERSION").write_text("18\n")
    with start_postgres(tmp_path / "data") as server, psycopg.connect(server.dsn) as connection:
        assert connection.info.server_version >= 160_000


def test_server_that_cannot_start_says_why(tmp_path):
    with start_postgres(tmp_path / "data"):
        pass
    (tmp_path / "data" / "postgresql.auto.conf").write_text("no_such_setting = 1\n")
    with pytest.raises(Unavailable, match="no_such_setting"), start_postgres(tmp_path / "data"):
        pass


def test_pid_file_of_a_killed_run_never_ends_a_stranger(tmp_path):
    with start_postgres(tmp_path / "data"):
        pass
    with subprocess.Popen(["sleep", "30"]) as stranger:
        (tmp_path / "data" / "postmaster.pid").write_text(f"{stranger.pid}\n")
        with start_postgres(tmp_path / "data"):
            assert stranger.poll() is None
        stranger.kill()


def test_run_folder_is_free_again_after_its_owner(tmp_path):
    with own_folder(tmp_path) as one, own_folder(tmp_path) as other:
        assert (one.name, other.name) == ("run-1", "run-2")
    with own_folder(tmp_path) as again:
        assert again.name == "run-1"
