"""The alert rules, judged by Prometheus' own tool, speak of metrics that we export."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

import stream.metrics  # noqa: F401 - registers them

DEPLOY = Path(__file__).parents[3] / "deploy"


@pytest.mark.parametrize("words", ["check rules alerts.yml", "test rules alerts_test.yml"])
def test_promtool_finds_no_mistake(words: str) -> None:
    if shutil.which("promtool") is None and "CI" not in os.environ:
        pytest.skip("needs promtool (Debian's package prometheus)")
    done = subprocess.run(
        ["promtool", *words.split()], cwd=DEPLOY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_metric_of_a_rule_is_exported() -> None:
    exported = {name for metric in REGISTRY.collect() for name in _series(metric.name, metric.type)}
    rules = (DEPLOY / "alerts.yml").read_text("utf-8")
    named = set(re.findall(r"tapewire_\w+", rules))
    assert len(named) >= 7
    assert named <= exported


def _series(name: str, kind: str) -> list[str]:
    return [f"{name}_total"] if kind == "counter" else [name, f"{name}_bucket"]
