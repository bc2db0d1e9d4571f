"""`tapewire demo` as a newcomer runs it: embedded servers, one command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from stream.cli.app import app
from stream.errors import TapewireError

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


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The folder that a demo ran in, and its summary."""
    folder = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [*DEMO, "--json", "summary.json"],
        env=environment(),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder, json.loads((folder / "summary.json").read_text())


@pytest.fixture
def tapewire(
    demo: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., str]:
    """Runs a verb where the demo ran, without a database named, and gives what it printed."""
    folder, _ = demo
    monkeypatch.chdir(folder)
    for name in [name for name in os.environ if name.startswith("TAPEWIRE_")]:
        monkeypatch.delenv(name)

    def run(*words: str, exit_code: int = 0) -> str:
        done = CliRunner().invoke(app, list(words))
        told = f"{words}: {done.exception!r}\n{done.output}\n{done.stderr}"
        if isinstance(done.exception, TapewireError):
            assert done.exception.exit_code == exit_code, told
            return str(done.exception)
        assert done.exit_code == exit_code, told
        return done.stdout

    return run


def told(printed: str) -> Any:
    """The JSON line; logs of this process may stand before it."""
    return json.loads(printed.splitlines()[-1])


def test_the_demo_ends_with_rows_equal_to_events(demo: tuple[Path, dict[str, Any]]) -> None:
    _, summary = demo
    went_in, rows = summary["events_in"], summary["rows"]
    for topic in ("ticks", "news", "clock", "instruments"):
        assert rows[topic] == went_in[topic] > 0, (topic, summary)
    assert rows["sentiments"] == went_in["news"]
    assert rows["signals"] == summary["signals"] == rows["bars"] + rows["sentiments"]
    assert summary["late"] == summary["dead_letters"] == 0
    assert summary["model_version"]


def test_what_a_demo_stored_can_be_queried_proven_and_judged(
    demo: tuple[Path, dict[str, Any]], tapewire: Callable[..., str]
) -> None:
    n = demo[1]["signals"]
    assert told(tapewire("sql", "SELECT count(*) AS n FROM signals", "--json"))["n"] == n
    proof = told(tapewire("verify", "--json"))
    assert (proof["proven"], proof["equal"]) == (True, n)
    served = told(tapewire("served", "--json"))
    assert (served["says"], served["different"]) == ("PASS", 0)
    assert served["equal"] > 0
    assert told(tapewire("outcomes", "--json"))["labelled"] > 0
    assert "labelled" not in tapewire("outcomes")  # they are
    assert told(tapewire("backtest", "--json"))["strategies"]
    assert "expected --challenger" in tapewire("compare", exit_code=2)
    assert "expected a champion, found none" in tapewire("drift", exit_code=2)


def test_a_demos_history_trains_a_model_that_is_listed_shown_and_explains(
    tapewire: Callable[..., str],
) -> None:
    Path("gates.toml").write_text(  # two sessions of four symbols teach next to nothing
        "max_constant = 200\nmax_duplicated = 200\nmax_up_share = 1.0\n"
        "min_distinct = 1\nmin_spread = 0.0\n"
    )
    easy = ("--gates", "gates.toml", "--accept-implausible", "a planted effect")
    built = told(tapewire("dataset", "build", "rows", "--json"))
    assert built["rows"] > 1_000
    assert "forward_return" in tapewire("dataset", "show", "rows")
    assert "two horizons or more" in tapewire("study", "timing", "--from", "rows", exit_code=2)
    assert "5 symbols or more" in tapewire("study", "sentiment", exit_code=2)
    trained = told(tapewire("retrain", *easy, "--report", "model.html", "--json"))
    again = told(tapewire("retrain", *easy, "--from", "rows", "--json"))
    assert again["version"] == trained["version"]
    assert trained["version"] in Path("model.html").read_text()
    (model,) = told(tapewire("models", "list", "--json"))
    assert model["version"] == trained["version"]
    shown = json.loads(tapewire("models", "show", trained["version"]))
    assert shown["data_fingerprint"]
    assert shown["n_rows"] > 0


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
