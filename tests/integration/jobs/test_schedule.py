"""Scheduled jobs on a real database: one leader, another takes over, drift calls for a retrain."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from apscheduler.triggers.cron import CronTrigger

from stream import metrics
from stream.archive.migrate import migrate
from stream.jobs.runs import Runs
from stream.jobs.scheduler import Scheduler
from tests.fix_namespace import drop_schema
from tests.integration.training.test_model_verbs import of

pytestmark = pytest.mark.stack
WAIT_S = 40.0
DAILY = CronTrigger.from_crontab("0 0 * * *", UTC)
LED = """
import asyncio, sys
from datetime import UTC, timedelta
from apscheduler.triggers.cron import CronTrigger
from stream.engine.signals import stop_on_signals
from stream.jobs.leader import lead
from stream.jobs.runs import Runs
from stream.jobs.scheduler import Scheduler
dsn, schema, *command = sys.argv[1:]
async def main():
    stop = asyncio.Event()
    stop_on_signals(stop)
    daily = CronTrigger.from_crontab("0 0 * * *", UTC)
    await lead(dsn, schema, lambda: Scheduler(
        Runs(dsn, schema), {"served": command}, {"served": daily}, timedelta()).work(), stop)
asyncio.run(main())
"""


@pytest.fixture
def schema(timescale: str, namespace: str) -> Iterator[str]:
    """A migrated schema in which each job was last run two days ago: a run of it is due."""
    migrate(timescale, namespace)
    query(
        timescale,
        namespace,
        "INSERT INTO job_runs (job, because, started_at, ended_at, exit_code) "
        "SELECT job, 'before', now() - interval '2 days', now() - interval '2 days', 0 "
        "FROM unnest(ARRAY['served', 'drift']) AS job RETURNING 1",
    )
    yield namespace
    drop_schema(timescale, namespace)


def query(dsn: str, schema: str, text: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(dsn, options=f"-c search_path={schema},public") as connection:
        return connection.execute(text).fetchall()  # type: ignore[arg-type]


def until(holds: Callable[[], Any]) -> Any:
    end = time.monotonic() + WAIT_S
    while not (found := holds()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
    return found


def alive(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_when_the_leader_is_killed_another_takes_over_and_makes_up_for_its_run(
    timescale: str, schema: str, tmp_path: Path
) -> None:
    pids = tmp_path / "pids"
    pids.touch()
    job = ["sh", "-c", f"echo at work; echo $$ >> {pids}; exec sleep 60"]
    command = [sys.executable, "-c", LED, timescale, schema, *job]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    both = {p.pid: p for p in (subprocess.Popen(command, env=env) for _ in range(2))}
    try:
        (first,) = until(lambda: [int(pid) for pid in pids.read_text().split()])
        leader = both.pop(parent(first))
        ((other, waiting),) = both.items()
        leader.kill()
        leader.wait()
        until(lambda: not alive(first))  # a run does not outlive its scheduler
        _, second = until(lambda: len(found := pids.read_text().split()) == 2 and map(int, found))
        assert parent(second) == other
        ran = "SELECT ended_at FROM job_runs WHERE because = 'its time'"
        assert query(timescale, schema, ran) == [(None,), (None,)]
        waiting.terminate()
        assert waiting.wait(15) == 0
        assert not alive(second)
    finally:
        for process in (leader, *both.values()):
            if process.poll() is None:
                process.kill()
                process.wait()


async def run_due(timescale: str, schema: str, n_ended: int) -> list[tuple[Any, ...]]:
    """A leader's work until so many runs have ended; job, because, exit code, last line of each."""
    fail = (
        f"import psycopg; c = psycopg.connect({timescale!r}); c.execute('INSERT INTO "
        f"{schema}.drift_reports (model_version, since, until, says, report) "
        "VALUES (%s, now(), now(), %s, %s)', ['v', 'FAIL', '{}']); c.commit(); exit(1)"
    )
    commands = {
        "drift": [sys.executable, "-c", fail],
        "retrain": ["sh", "-c", "echo one; echo two >&2; echo; exit 3"],
    }
    runs = Runs(timescale, schema)
    work = asyncio.create_task(
        Scheduler(runs, commands, {"drift": DAILY}, timedelta(hours=24)).work()
    )
    ended = (
        "SELECT job, because, exit_code, last_line FROM job_runs "
        "WHERE ended_at IS NOT NULL AND because <> 'before' ORDER BY id"
    )
    try:
        n = lambda: len(query(timescale, schema, ended))  # noqa: E731
        await asyncio.to_thread(until, lambda: n() >= n_ended)
        await asyncio.sleep(0.5)  # what would follow has begun
        return query(timescale, schema, ended.replace("ended_at IS NOT NULL AND ", ""))
    finally:
        work.cancel()
        await asyncio.wait({work})


async def test_drift_that_fails_retrains_once_in_the_cool_down(timescale: str, schema: str) -> None:
    found = await run_due(timescale, schema, 2)
    assert found == [
        ("drift", "its time", 1, ""),
        ("retrain", "drift says FAIL", 3, "two"),
    ]
    older = "UPDATE job_runs SET started_at = started_at - interval '23 hours' RETURNING 1"
    query(timescale, schema, older)
    before = "UPDATE job_runs SET started_at = now() - interval '2 days' WHERE job = 'drift'"
    query(timescale, schema, f"{before} RETURNING 1")
    found = await run_due(timescale, schema, 3)
    assert [job for job, *_ in found] == ["drift", "retrain", "drift"]


async def test_a_new_leader_goes_on_with_what_the_last_run_said(
    timescale: str, schema: str
) -> None:
    query(timescale, schema, "UPDATE job_runs SET exit_code = 1, started_at = now() RETURNING 1")
    metrics.JOB_EXIT_CODE.clear()
    runs = Runs(timescale, schema)
    work = asyncio.create_task(Scheduler(runs, {}, {"drift": DAILY}, timedelta()).work())
    told = lambda: [s.value for m in metrics.JOB_EXIT_CODE.collect() for s in m.samples]  # noqa: E731
    try:
        await asyncio.to_thread(until, told)
        assert told() == [1]
    finally:
        work.cancel()
        await asyncio.wait({work})


def test_the_verb_runs_a_missed_job_and_ends_on_a_signal(timescale: str, schema: str) -> None:
    env = of(timescale, schema)
    words = ["schedule", "--served", "0 0 * * *"]
    process = subprocess.Popen([sys.executable, "-m", "stream.cli", *words], env=env)
    try:
        ran = "SELECT exit_code, last_line FROM job_runs WHERE because = 'its time'"
        ((code, line),) = until(lambda: query(timescale, schema, f"{ran} AND ended_at IS NOT NULL"))
        assert code == 2
        assert "nothing was scored here yet: run tapewire worker" in line
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
