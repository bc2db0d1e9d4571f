"""Exactly once, whatever ends a worker."""

import asyncio
import contextlib
import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stream.engine.app import run_role
from stream.engine.checkpoint import Meta, PartitionProducer, read_state
from stream.errors import Unavailable
from stream.settings import Settings
from tests.integration.engine.counting import CountingStep, Running, counting
from tests.integration.engine.log import (
    all_read,
    assert_each_once,
    n_members,
    n_outputs,
    outputs,
    publish,
    read,
    ticks,
    until,
)

pytestmark = pytest.mark.stack

_ROOT = Path(__file__).parents[3]
_SLOW_S = 0.0005  # a record: about 2,000 records/s


class Workers:
    """Worker processes of one namespace."""

    def __init__(self, settings: Settings) -> None:
        self._environment = {
            **os.environ,
            "PYTHONPATH": str(_ROOT),
            "TAPEWIRE_BROKER": settings.broker,
            "TAPEWIRE_NAMESPACE": settings.namespace,
            "TAPEWIRE_MODE": settings.mode,
            "TAPEWIRE_DATA_DIR": str(settings.data_dir),
            "TAPEWIRE_CHECKPOINT_BUSY_S": "0.2",
        }
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.integration.engine.counting", str(_SLOW_S)]
        self.started.append(subprocess.Popen(command, env=self._environment, cwd=_ROOT))
        return self.started[-1]


@pytest.fixture
def workers(broker_settings: Settings) -> Iterator[Workers]:
    workers = Workers(broker_settings)
    yield workers
    for process in workers.started:
        process.kill()
        process.wait()


async def test_killed_worker_leaves_each_output_once_and_the_state_whole(
    broker_settings: Settings, workers: Workers
) -> None:
    publish(broker_settings, "ticks", ticks(8_000))
    worker = workers.start()
    await until(lambda: n_outputs(broker_settings) > 1_000)
    worker.kill()
    worker.wait()
    assert n_outputs(broker_settings) < 8_000
    workers.start()
    await until(lambda: n_outputs(broker_settings) >= 8_000)
    assert_each_once(broker_settings, 8_000)


async def test_sigterm_in_the_middle_loses_and_repeats_nothing(
    broker_settings: Settings, workers: Workers
) -> None:
    publish(broker_settings, "ticks", ticks(8_000))
    worker = workers.start()
    await until(lambda: n_outputs(broker_settings) > 500)
    began = time.monotonic()
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(30) == 0
    assert time.monotonic() - began < 15
    before = n_outputs(broker_settings)
    workers.start()
    await until(lambda: n_outputs(broker_settings) >= 8_000)
    assert before < 8_000
    assert_each_once(broker_settings, 8_000)


async def test_a_second_worker_takes_partitions_in_mid_chunk_and_gives_them_back(
    broker_settings: Settings, running: Running, workers: Workers
) -> None:
    spec = counting(make_step=lambda partition: CountingStep(partition, slow_s=_SLOW_S))
    publish(broker_settings, "ticks", ticks(30_000))
    async with running(broker_settings, spec) as role:
        await until(lambda: n_outputs(broker_settings) > 500, role=role)
        second = workers.start()
        await until(lambda: n_members(broker_settings) == 2, role=role)
        n_before = n_outputs(broker_settings)
        await until(lambda: n_outputs(broker_settings) > n_before + 1_000, role=role)
        assert n_before < 27_000
        second.terminate()
        assert await asyncio.to_thread(second.wait, 10) == 0
        await until(lambda: n_outputs(broker_settings) >= 30_000, role=role)
    assert_each_once(broker_settings, 30_000)


async def test_restored_state_is_the_state_that_was(
    broker_settings: Settings, running: Running
) -> None:
    steps: dict[int, CountingStep] = {}

    def make(partition: int) -> CountingStep:
        return steps.setdefault(partition, CountingStep(partition))

    gone = [(b"0-0", b"forget", 0, 1_700_000_100_000)]
    publish(broker_settings, "ticks", [*ticks(5_000), *gone])
    async with running(broker_settings, counting(make_step=make)) as role:
        await until(lambda: all_read(broker_settings), role=role)
    for partition in range(4):
        slots, meta = await read_state(broker_settings, "score", partition)
        assert meta is not None
        again = CountingStep(partition)
        again.restore(slots, meta.step)
        assert again.counts == steps[partition].counts
        assert again.n == 1_250
        n = 1_250 + (partition == 0)
        assert meta.positions == {"ticks": n}
        assert meta.counts == {"ticks": {"delivered": n, "applied": n}}
    assert b"0-0" not in steps[0].counts


async def test_reading_the_state_may_be_cut_at_any_moment(broker_settings: Settings) -> None:
    for cut_s in (0.0, 0.001, 0.002, 0.005, 0.01, 0.02):
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(read_state(broker_settings, "score", 0), cut_s)
        gc.collect()  # a consumer left open would warn, and a warning fails the test


async def test_a_zombies_outputs_and_state_are_never_seen(broker_settings: Settings) -> None:
    zombie = PartitionProducer(broker_settings, "score", 0)
    successor = PartitionProducer(broker_settings, "score", 0)
    await zombie.open()
    zombie.send("signals", b"AAPL", b"from the dead", partition=0)
    await zombie.flush()
    await successor.open()
    successor.send("signals", b"AAPL", b"alive", partition=0)
    await successor.commit({b"AAPL": b"1"}, Meta(positions={"ticks": 1}))
    with pytest.raises(Exception, match=r"Fenced|Epoch|fenced|producer"):
        await zombie.commit({b"AAPL": b"0"}, Meta(positions={"ticks": 9}))
    await zombie.close()
    await successor.close()
    assert read(broker_settings, "signals")[0] == [(b"AAPL", b"alive")]
    slots, meta = await read_state(broker_settings, "score", 0)
    assert (slots, meta) == ({b"AAPL": b"1"}, Meta(positions={"ticks": 1}))


async def test_fenced_partition_starts_again_and_the_others_go_on(
    broker_settings: Settings, running: Running
) -> None:
    def publish_for_a_while() -> None:
        for first in range(0, 8_000, 40):
            publish(broker_settings, "ticks", ticks(40, first=first))

    async with running(broker_settings, counting()) as role:
        publishing = asyncio.create_task(asyncio.to_thread(publish_for_a_while))
        for reached in range(500, 4_500, 1_000):
            await until(lambda n=reached: n_outputs(broker_settings) > n, role=role)  # type: ignore[misc]
            intruder = PartitionProducer(broker_settings, "score", 1)
            await intruder.open()
            await intruder.close()
        await publishing
        await until(lambda: n_outputs(broker_settings) >= 8_000, role=role)
    assert_each_once(broker_settings, 8_000)


async def test_partition_that_is_not_open_again_in_time_ends_the_role(
    broker_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stream.engine.app._REOPENED_S", 0.0)
    publish(broker_settings, "ticks", ticks(400))
    role = asyncio.create_task(run_role(broker_settings, counting()))
    await until(lambda: n_outputs(broker_settings) >= 400, role=role)
    intruder = PartitionProducer(broker_settings, "score", 1)
    await intruder.open()
    await intruder.close()
    publish(broker_settings, "ticks", ticks(400, first=400))
    with pytest.raises(Unavailable, match="partition 1 could not be opened within 0 s"):
        await asyncio.wait_for(role, 30)


async def test_unexpected_error_ends_the_role_and_commits_nothing_of_it(
    broker_settings: Settings, running: Running
) -> None:
    bug = (b"2-2", b"bug", 2, 1_700_000_100_000)
    publish(broker_settings, "ticks", [*ticks(400), bug])
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(run_role(broker_settings, counting()), 20)
    assert all(one.offset < 100 for _, one in outputs(broker_settings)[2])
    _, meta = await read_state(broker_settings, "score", 2)
    assert meta is None or meta.positions["ticks"] <= 100

    class Mended(CountingStep):
        def apply(self, topic, record, out):  # type: ignore[no-untyped-def]
            try:
                return super().apply(topic, record, out)
            except ZeroDivisionError:
                from stream.engine.step import Outcome

                return Outcome.APPLIED

    async with running(broker_settings, counting(make_step=Mended)) as role:
        await until(lambda: n_outputs(broker_settings) >= 401, role=role)
    assert_each_once(broker_settings, 401)
