"""The leader's work: each job at its times, one after the other, and a retrain after drift."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

import psycopg
import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger

from stream import metrics
from stream.engine.patience import insist
from stream.errors import TapewireError
from stream.jobs import child
from stream.jobs.cooldown import decide
from stream.jobs.runs import Runs

log = structlog.get_logger()

RETRAIN, DRIFT = "retrain", "drift"
_CLOCKS = timedelta(seconds=1)  # that the database's and ours may differ by


class Scheduler:
    """Runs commands at set times.

    Parameters
    ----------
    commands : of each job, what to run.
    triggers : of the jobs that have set times.
    cool_down : from one retrain to the next that drift may call for.
    """

    def __init__(
        self,
        runs: Runs,
        commands: Mapping[str, Sequence[str]],
        triggers: Mapping[str, CronTrigger],
        cool_down: timedelta,
    ) -> None:
        self._runs = runs
        self._commands = commands
        self._triggers = triggers
        self._cool_down = cool_down
        self._one_at_a_time = asyncio.Lock()
        self._running: dict[str, asyncio.Task[None]] = {}

    async def work(self) -> None:
        """Run jobs until cancelled; the one at work is ended then.

        Times that were missed, because a job took long or nobody led, are made up for by one run.
        """
        scheduler = AsyncIOScheduler(timezone=UTC)
        for job, trigger in self._triggers.items():
            last = await insist(partial(self._runs.last_ended, job), "the database")
            now = datetime.now(UTC)
            since = now
            if last is not None:  # an alert of it must not end with the process that led
                since = last[0] + _CLOCKS
                metrics.JOB_EXIT_CODE.labels(job).set(last[1])
            due = trigger.get_next_fire_time(None, since)
            scheduler.add_job(
                self._start,
                trigger,
                [job],
                next_run_time=None if due is None else max(due, now),
                coalesce=True,
                misfire_grace_time=None,
            )
        scheduler.start()
        try:
            await asyncio.Event().wait()
        finally:
            scheduler.shutdown(wait=False)
            for task in self._running.values():
                task.cancel()
            await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _start(self, job: str) -> None:
        """Start the job, or let the run that is at work or waits for its turn count for it."""
        if job not in self._running:
            task = self._running[job] = asyncio.create_task(self._run_and_follow(job))
            task.add_done_callback(lambda _: self._running.pop(job))

    async def _run_and_follow(self, job: str) -> None:
        try:
            started = await self._run(job, "its time")
            if job == DRIFT:
                await self._after_drift(started)
        except (TapewireError, psycopg.Error, OSError) as error:
            log.error("job not run", job=job, why=str(error).strip())

    async def _after_drift(self, looked: datetime) -> None:
        says = await insist(partial(self._runs.drift_since, looked), "the database")
        last = await insist(partial(self._runs.last_begun, RETRAIN), "the database")
        decision = decide(says, last, datetime.now(UTC), self._cool_down)
        log.info("looked for drift", retrain=decision.retrain, why=decision.why)
        if decision.retrain:
            await self._run(RETRAIN, decision.why)

    async def _run(self, job: str, because: str) -> datetime:
        """One run to its end, with its row; when it started."""
        async with self._one_at_a_time:
            begin = partial(self._runs.begin, job, because)
            run, started = await insist(begin, "the database")
            log.info("job starts", job=job, run=run, because=because)
            exit_code, last_line = await child.run(self._commands[job])
            await insist(partial(self._runs.end, run, exit_code, last_line), "the database")
            metrics.JOB_EXIT_CODE.labels(job).set(exit_code)
            log.info("job ended", job=job, run=run, exit_code=exit_code, said=last_line)
        return started
