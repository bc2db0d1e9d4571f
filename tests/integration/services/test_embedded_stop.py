"""However the owner of embedded services ends, they end with it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

OWNER = Path(__file__).with_name("owner.py")
REPOSITORY = Path(__file__).parents[3]
STOP_S = 15.0


def servers_in(folder):
    """Process numbers of what works in `folder`."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if process.joinpath("cwd").readlink().is_relative_to(folder):
                found.add(int(process.name))
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_signal_to_the_owner_leaves_no_server(tmp_path, number):
    with subprocess.Popen(
        [sys.executable, str(OWNER), str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # nohup ignores it
    ) as owner:
        environment = json.loads(owner.stdout.readline())
        assert Path(environment["TAPEWIRE_EMBEDDED_POSTGRES"]).is_relative_to(tmp_path)
        assert len(servers_in(tmp_path)) >= 2
        until = time.monotonic() + STOP_S
        owner.send_signal(number)
        owner.wait(STOP_S)
    while left := servers_in(tmp_path):
        assert time.monotonic() < until, f"left over: {left}"
        time.sleep(0.02)
