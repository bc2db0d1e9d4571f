"""A torch that is installed and does not load is a model that cannot be had, not a crash."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).parents[3]


@pytest.mark.parametrize("error", ["OSError", "ValueError", "ImportError"])
def test_a_torch_without_its_libraries_is_said_in_one_line(tmp_path: Path, error: str) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text(f"raise {error}('libcudart.so.13: none')")
    code = (
        "from models.sentiment.model import SentimentModelError, load_sentiment_model\n"
        "try: load_sentiment_model('torch:./none')\n"
        "except SentimentModelError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{REPO}"},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    said = "torch:./none: libcudart.so.13: none; pip install 'tapewire[torch]'\n"
    assert (done.stdout, done.returncode) == (said, 0), done.stderr
