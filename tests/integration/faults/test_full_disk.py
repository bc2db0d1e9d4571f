"""A real disk, full to the last byte: archive says so, loses nothing, goes on once there is room.

database's tables      53100 disk_full, the server itself goes on
database and its WAL   the server ends with a PANIC, and comes back once there is room
our own data_dir       one line that names TAPEWIRE_DATA_DIR, and a code
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from stream.embedded.postgres import start_postgres
from stream.embedded.process import free_port
from stream.embedded.services import start_embedded
from stream.errors import Unavailable
from stream.settings import Settings
from tests.integration.faults.disk import fill, small_disk
from tests.integration.faults.plugs import role_pid
from tests.integration.faults.run import Watch, run, unarchived

pytestmark = pytest.mark.stack

_FULL_S = 25.0  # two log lines, ten seconds apart
_WAIT_S = 30.0
_MOST_MB = 400  # more than any disk here
_SAYS = re.compile(r"waiting for the database.* for_s=([0-9.]+) why=\"(.*)\"")


def test_signals_flow_while_the_tables_have_no_room(
    settings: Callable[..., Settings], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with (
        small_disk(tmp_path / "disk", 64) as disk,
        start_postgres(tmp_path / "postgres") as server,
    ):
        _put_tables_on(server.dsn, disk)
        mine = settings(mode="live", database=server.dsn)

        def pull(workers: subprocess.Popen[bytes], env: dict[str, str]) -> None:
            archive = role_pid(workers.pid, "archive")
            ballast = fill(disk)
            full_at = time.monotonic()
            with Watch(mine) as watch:
                time.sleep(_FULL_S)
                full = unarchived(mine)
                freed_at = time.monotonic()
                ballast.unlink()
                assert watch.first_after(full_at + _FULL_S / 2) < freed_at, "signals stopped"
            assert full > 0, "the disk was not full"
            assert role_pid(workers.pid, "archive") == archive

        run(mine, 1, pull, published_s=_FULL_S + 10).raise_if_wrong()
    lines = _SAYS.findall(capfd.readouterr().err)
    assert 2 <= len(lines) <= 1 + _FULL_S // 10
    for _, why in lines:
        assert why.startswith("TAPEWIRE_DATABASE: the server's disk is full, make room there: ")


def test_a_database_that_ended_for_want_of_room_is_caught_up_with(
    settings: Callable[..., Settings], tmp_path: Path
) -> None:
    port = free_port()
    with small_disk(tmp_path / "disk", 160) as disk, contextlib.ExitStack() as running:
        server = running.enter_context(start_postgres(disk / "postgres", port))
        mine = settings(mode="live", database=server.dsn)

        def pull(workers: subprocess.Popen[bytes], env: dict[str, str]) -> None:
            archive = role_pid(workers.pid, "archive")
            ballast = fill(disk)
            _until_ended(server.dsn, server.check)
            running.close()
            ballast.unlink()
            running.enter_context(start_postgres(disk / "postgres", port))
            assert role_pid(workers.pid, "archive") == archive

        run(mine, 1, pull, published_s=20.0).raise_if_wrong()


def test_the_embedded_database_says_why_it_ended(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 96) as disk, start_embedded(disk) as services:
        services.check()
        fill(disk)
        why = _until_ended(services.database, services.check)
    assert re.search("disk is full.*TAPEWIRE_DATA_DIR", why), why


@pytest.mark.parametrize(("n_files", "code"), [(1_000, 5), (0, 2)])
def test_no_room_for_our_own_data_is_one_line_and_a_code(
    tmp_path: Path, n_files: int, code: int
) -> None:
    with small_disk(tmp_path / "disk", 16, n_files) as disk:
        env = {"TAPEWIRE_DATA_DIR": str(disk), "PATH": os.environ["PATH"]}
        command = [sys.executable, "-m", "stream.cli", "demo", "--symbols", "2", "--sessions", "2"]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == code, done.stderr
    assert re.search(r"^tapewire: .*No space left on device.*TAPEWIRE_DATA_DIR", last), last


def _put_tables_on(dsn: str, disk: Path) -> None:
    """Tables made from now on lie there; the log of changes stays where it is."""
    folder = disk / "tables"
    folder.mkdir(mode=0o700)
    with psycopg.connect(dsn, autocommit=True) as connection:
        place = sql.Literal(str(folder))
        connection.execute(sql.SQL("CREATE TABLESPACE small LOCATION {}").format(place))
        connection.execute("ALTER DATABASE postgres SET default_tablespace = small")


def _until_ended(dsn: str, check: Callable[[], None]) -> str:
    """Fill what is left of the server's log of changes; returns what `check` says then."""
    more = "SELECT pg_logical_emit_message(false, '', repeat('x', 100000))"
    with (
        contextlib.suppress(psycopg.OperationalError),
        psycopg.connect(dsn, autocommit=True) as connection,
    ):
        for _ in range(_MOST_MB * 10):
            connection.execute(more)
    until = time.monotonic() + _WAIT_S
    while time.monotonic() < until:
        try:
            check()
        except Unavailable as ended:
            return str(ended)
        time.sleep(0.1)
    raise AssertionError("the server still runs")
