"""`tapewire demo` as a newcomer runs it: embedded servers, one command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

DEMO = [sys.executable, "-m", "stream.cli", "demo", "--symbols", "4", "--sessions", "3"]
REPO = Path(__file__).parents[2]


def environment() -> dict[str, str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("TAPEWIRE_")}
    return {**clean, "PYTHONPATH": str(REPO)}


def descendants(pid: int) -> set[int]:
    """Living processes under `pid`."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] != "Z":
            parents[int(stat.parent.name)] = int(fields[1])
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def test_the_demo_ends_with_rows_equal_to_events_and_a_database_to_query(tmp_path: Path) -> None:
    summary_file = tmp_path / "summary.json"
    done = subprocess.run(
        [*DEMO, "--json", str(summary_file)],
        env=environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    summary = json.loads(summary_file.read_text())
    went_in, rows = summary["events_in"], summary["rows"]
    for topic in ("ticks", "news", "clock", "instruments"):
        assert rows[topic] == went_in[topic] > 0, (topic, summary)
    assert rows["sentiments"] == went_in["news"]
    assert rows["signals"] == summary["signals"] == rows["bars"] + rows["sentiments"]
    assert summary["late"] == summary["dead_letters"] == 0
    assert summary["model_version"]

    query = "SELECT count(*) AS n FROM signals"
    asked = subprocess.run(
        [sys.executable, "-m", "stream.cli", "sql", query, "--json"],
        env=environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert json.loads(asked.stdout)["n"] == summary["signals"]


def test_ctrl_c_stops_the_demo_within_five_seconds_and_leaves_no_process(tmp_path: Path) -> None:
    process = subprocess.Popen(
        DEMO, env=environment(), cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    for line in process.stderr:  # a role is up: everything there is to stop has been started
        if b"role starts" in line:
            break
    children = descendants(process.pid)
    assert children
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.stderr.read()
    assert process.wait(30) == 130
    assert time.monotonic() - began < 15
    left = {pid for pid in children if Path(f"/proc/{pid}").exists()}
    assert not left
    process.stderr.close()
