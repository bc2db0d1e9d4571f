"""What can be pulled, how, and how it comes back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

_STACK_SH = Path(__file__).parents[2] / "stack" / "stack.sh"
STACK = Path(os.environ.get("STACK_DIR", _STACK_SH.parents[2] / ".stack"))
WAYS = ("kill", "term", "stop")
_FAST_SHUTDOWN_S = 3.0


class RolePlug:
    """One role's process under the supervisor, which starts it again."""

    def __init__(self, supervisor: int, role: str, environment: dict[str, str]) -> None:
        self._supervisor = supervisor
        self._role = role
        self._environment = environment
        self._second: subprocess.Popen[bytes] | None = None

    def pull(self, way: str, stopped_s: float) -> None:
        """Pull it; a stopped one is a zombie to a second worker that has taken its place."""
        pid = role_pid(self._supervisor, self._role)
        if way != "stop":
            os.kill(pid, signal.SIGKILL if way == "kill" else signal.SIGTERM)
            return
        command = [sys.executable, "-m", "stream.cli", "worker", "--role", self._role]
        self._second = subprocess.Popen(command, env=self._environment)
        time.sleep(3.0)
        os.kill(pid, signal.SIGSTOP)
        time.sleep(stopped_s)
        os.kill(pid, signal.SIGCONT)

    def end(self) -> None:
        """End what was started here."""
        if self._second is not None:
            self._second.send_signal(signal.SIGTERM)
            self._second.wait(15)


class ServerPlug:
    """One server of the test stack, started again on its port with its data."""

    def __init__(self, server: str) -> None:
        self._server = server
        # An ordinary user's TimescaleDB is a plain PostgreSQL.
        self._home = next(
            STACK / name for name in (server, "postgres") if (STACK / name / "address").exists()
        )
        self._port = (self._home / "address").read_text().strip().rpartition(":")[2].split("/")[0]

    def pull(self, way: str, stopped_s: float) -> None:
        """Pull it, wait, and bring it back."""
        if way == "stop":
            everyone = self._everyone()
            _signal(everyone, signal.SIGSTOP)
            time.sleep(stopped_s)
            _signal(everyone, signal.SIGCONT)
            return
        self.down(way)
        self.up()

    def down(self, way: str) -> None:
        """Kill it or ask it to end; returns once it is gone."""
        pid, *_ = everyone = self._everyone()
        if way == "kill":
            _signal(everyone, signal.SIGKILL)
        else:
            os.kill(pid, signal.SIGTERM)
            if self._server == "timescale":
                time.sleep(_FAST_SHUTDOWN_S)  # SIGTERM waits for clients that never go
                _signal([pid], signal.SIGINT)
        while _alive(pid):
            time.sleep(0.05)

    def up(self) -> None:
        """Start it again on its port, with its data."""
        subprocess.run(
            [str(_STACK_SH), "start", self._server],
            env={**os.environ, f"STACK_{self._server.upper()}_PORT": self._port,
                 "STACK_PYTHON": sys.executable},
            check=True,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip

    def end(self) -> None:
        """It is back already."""

    def _everyone(self) -> list[int]:
        pid = int((self._home / "pid").read_text())
        return [pid, *_descendants(pid)]


def role_pid(supervisor: int, role: str) -> int:
    """The process of one role under the supervisor: of two the older, the other stands by."""
    for child in children(supervisor):
        command = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
        if role.encode() in command:
            return child
    raise LookupError(f"no process of role {role} under {supervisor}")


def children(pid: int) -> list[int]:
    """Process numbers of those that its main thread has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def rss_mb(pid: int, kind: str = "VmRSS") -> int:
    """A process's resident memory now, or the most it ever was (VmHWM), in MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition(f"{kind}:")[2].split()[0]) // 1024


def _descendants(pid: int) -> list[int]:
    return [one for child in children(pid) for one in (child, *_descendants(child))]


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def _signal(pids: list[int], number: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
