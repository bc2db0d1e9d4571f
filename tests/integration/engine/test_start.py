"""A start that never ends: the role does, and its supervisor tries again."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

RUN = """
import asyncio, sys
from pathlib import Path
from stream.{module} import {run}
from stream.engine import faust_app
from stream.settings import Settings

faust_app.START_S = 2.0
settings = Settings(
    broker=sys.argv[1], database="postgresql://u@127.0.0.1:1/d", namespace="silent",
    data_dir=Path(sys.argv[2]),
)
asyncio.run({run}(settings))
"""


@pytest.mark.parametrize(
    ("module", "run"), [("archive.agent", "run_archive"), ("sentiment.agent", "run_sentiment")]
)
def test_a_broker_that_listens_and_never_answers_ends_the_role(
    tmp_path: Path, module: str, run: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = f"127.0.0.1:{silent.getsockname()[1]}"
        command = [sys.executable, "-c", RUN.format(module=module, run=run), place, str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "Unavailable: the group was not joined within 2 s of the start" in done.stderr
