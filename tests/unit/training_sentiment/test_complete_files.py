"""What is written is complete or not there, also after a kill."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from training.sentiment.files import complete_file, complete_folder

_KILLED = """
import os, signal, sys
from pathlib import Path
from training.sentiment.files import complete_file, complete_folder
with complete_folder(Path(sys.argv[1])) as folder, complete_file(Path(sys.argv[2])) as file:
    for each in (folder / "model", file):
        each.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_leaves_nothing_that_looks_complete(tmp_path: Path) -> None:
    out, told = tmp_path / "a" / "m", tmp_path / "told"
    told.write_text("old")
    done = subprocess.run(
        [sys.executable, "-c", _KILLED, str(out), str(told)],
        cwd=Path(__file__).parents[3], check=False,
    )  # fmt: skip
    assert done.returncode == -9
    assert not out.exists()
    assert told.read_text() == "old"
    with complete_folder(out) as folder, complete_file(told) as file:
        assert not list(folder.iterdir())
        (folder / "model").write_text("whole")
        file.write_text("new")
    assert (out / "model").read_text() == "whole"
    assert told.read_text() == "new"
    assert {each.name for each in tmp_path.rglob("*")} == {"a", "m", "model", "told"}


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    def fill() -> None:
        with complete_folder(tmp_path / "m") as folder, complete_file(tmp_path / "f") as file:
            for each in (folder / "model", file):
                each.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fill()
    assert not list(tmp_path.iterdir())
