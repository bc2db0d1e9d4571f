"""Roles as child processes: restarted, refused, and never left behind."""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from stream.engine import spare, supervisor
from stream.engine.supervisor import supervise
from stream.errors import Refused

_ROOT = Path(__file__).parents[3]


def shell(script: str) -> list[str]:
    return ["sh", "-c", script]


def alive(pid: int) -> bool:
    """Whether the process runs: a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):  # the second: gone while it was read
        return False
    return state != "Z"


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


async def until_lines(path: Path, n: int) -> list[str]:
    deadline = time.monotonic() + 10
    while len(lines(path)) < n:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    return lines(path)


async def test_a_role_that_dies_is_started_again_and_the_others_go_on(tmp_path: Path) -> None:
    stop = asyncio.Event()
    dies, lives = tmp_path / "dies", tmp_path / "lives"
    run = asyncio.create_task(
        supervise(
            {
                "dies": shell(f"echo $$ >> {dies}; exec sleep 60"),
                "lives": shell(f"echo $$ >> {lives}; exec sleep 60"),
            },
            stop=stop,
        )
    )
    os.kill(int((await until_lines(dies, 1))[0]), signal.SIGKILL)
    pids = [*await until_lines(dies, 2), *await until_lines(lives, 1)]
    assert len(pids) == 3
    stop.set()
    assert await asyncio.wait_for(run, 30) == 0
    assert not any(alive(int(pid)) for pid in pids)


def with_spare(works: Path, stands: Path, told: str, stop: asyncio.Event) -> asyncio.Task[int]:
    """A role that notes its number in `works`, and one that notes its own in `stands`."""
    score = shell(f"echo $$ >> {works}; exec sleep 60")
    stands_by = shell(f"echo $$ >> {stands}; {told}")
    return asyncio.create_task(supervise({"score": score}, spares={"score": stands_by}, stop=stop))


async def test_a_process_that_stands_by_works_only_when_the_one_before_died(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spare, "AFTER_S", 0.01)
    monkeypatch.setattr(supervisor, "_BACKOFF_S", (0.01,))
    stop = asyncio.Event()
    works, stands = tmp_path / "works", tmp_path / "stands"
    run = with_spare(works, stands, f"read go; echo $$ >> {works}; sleep 60", stop)
    for n in (1, 2, 3):
        await until_lines(stands, n)
        assert len(lines(works)) == n
        os.kill(int(lines(works)[-1]), signal.SIGKILL)
        await until_lines(works, n + 1)
    await until_lines(stands, 4)
    stop.set()
    assert await asyncio.wait_for(run, 30) == 0
    assert lines(works)[1:] == lines(stands)[:3]
    assert not any(alive(int(pid)) for pid in (*lines(works), *lines(stands)))


async def test_where_none_stands_by_the_role_is_started_by_its_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spare, "AFTER_S", 0.01)
    stop = asyncio.Event()
    works, stands = tmp_path / "works", tmp_path / "stands"
    run = with_spare(works, stands, "exec sleep 60", stop)
    died = int((await until_lines(stands, 1))[0])
    os.kill(died, signal.SIGKILL)
    while alive(died):  # noqa: ASYNC110 - a process sets no event
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.3)  # the supervisor hears of it too
    os.kill(int((await until_lines(works, 1))[0]), signal.SIGKILL)
    await until_lines(works, 2)
    stop.set()
    assert await asyncio.wait_for(run, 30) == 0


async def test_a_crash_loop_ends_with_the_roles_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "_BACKOFF_S", (0.01,))
    with pytest.raises(Refused, match=r"role score crashed 5 times.*exit code 7"):
        await asyncio.wait_for(supervise({"score": shell("exit 7")}), 30)


async def test_a_role_whose_settings_do_not_fit_is_not_started_again(tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    with pytest.raises(Refused, match="exit code 2"):
        await asyncio.wait_for(supervise({"score": shell(f"echo >> {marks}; exit 2")}), 30)
    assert len(await until_lines(marks, 1)) == 1


async def test_a_role_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    pids, stop = tmp_path / "pids", asyncio.Event()
    deaf = shell(f"trap '' TERM; echo $$ >> {pids}; while :; do sleep 0.05; done")
    run = asyncio.create_task(supervise({"deaf": deaf}, stop=stop))
    pid = int((await until_lines(pids, 1))[0])
    began = time.monotonic()
    stop.set()
    await asyncio.wait_for(run, 30)
    assert time.monotonic() - began < 15
    assert not alive(pid)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_no_role_outlives_the_supervisor(tmp_path: Path, number: int) -> None:
    pids = tmp_path / "pids"
    roles = {name: shell(f"echo $$ >> {pids}; exec sleep 60") for name in ("score", "clock")}
    script = (
        "import asyncio; from stream.engine import spare; spare.AFTER_S = 0.01; "
        "from stream.engine.supervisor import supervise; "
        f"asyncio.run(supervise({roles!r}, spares={roles!r}))"
    )
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", script, cwd=_ROOT)
    children = [int(pid) for pid in await until_lines(pids, 4)]
    parent.send_signal(number)
    code = await asyncio.wait_for(parent.wait(), 30)
    assert code == (0 if number == signal.SIGTERM else -number)
    deadline = time.monotonic() + 5
    while any(alive(pid) for pid in children):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
