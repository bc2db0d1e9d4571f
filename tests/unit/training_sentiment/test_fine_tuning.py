"""`tapewire sentiment train` from labelled texts to a folder that scores, with a small encoder."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

if find_spec("torch") is None and "CI" not in os.environ:
    pytest.skip("torch is not installed (pip install '.[torch]')", allow_module_level=True)

from tests.unit.training_sentiment.tiny import make_encoder, write_texts

N = 600


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_texts(tmp_path_factory.mktemp("texts") / "texts.csv", N)


def command(texts: Path, encoder: Path, out: Path, *more: str) -> list[str]:
    return [
        *(sys.executable, "-m", "stream.cli", "sentiment", "train"),
        *("--data", str(texts), "--base", str(encoder), "--out", str(out), "--name", "tiny"),
        *("--rate", "3e-3", "--json", *more),
    ]


def ran(words: list[str], code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == code, done.stderr
    return done


def digest(folder: Path) -> str:
    return hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()


def test_it_learns_and_ships_what_it_learnt(texts: Path, encoder: Path, tmp_path: Path) -> None:
    told = json.loads(ran(command(texts, encoder, tmp_path / "m", "--epochs", "6")).stdout)
    assert told["accuracy"]["value"] > 0.95
    assert told["parity"]["agreement"] >= 0.99
    manifest = json.loads((tmp_path / "m" / "manifest.json").read_text())
    assert manifest["files"]["model.onnx"] == digest(tmp_path / "m")
    assert manifest["metrics"]["accuracy"] == pytest.approx(told["accuracy"]["value"], abs=1e-3)
    assert "folder that is not there yet" in ran(command(texts, encoder, tmp_path / "m"), 3).stderr
    other = write_texts(tmp_path / "other.csv", 90, seed=2)
    words = [sys.executable, "-m", "stream.cli", "sentiment", "evaluate", f"onnx:{tmp_path / 'm'}"]
    (judged,) = json.loads(ran([*words, "--data", str(other), "--json"]).stdout).values()
    assert judged["accuracy"]["value"] > 0.9


def test_a_seed_says_it_all(texts: Path, encoder: Path, tmp_path: Path) -> None:
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        ran(command(texts, encoder, tmp_path / name, "--epochs", "5", "--seed", seed))
    assert digest(tmp_path / "a") == digest(tmp_path / "b") != digest(tmp_path / "c")


def test_a_killed_run_goes_on_and_ends_the_same(texts: Path, encoder: Path, tmp_path: Path) -> None:
    ran(command(texts, encoder, tmp_path / "whole", "--epochs", "6"))
    words = command(
        texts, encoder, tmp_path / "m", "--epochs", "6", "--resume", str(tmp_path / "w")
    )
    first = subprocess.Popen(words, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 120
        while not list(tmp_path.glob("w/checkpoint-*/trainer_state.json")):
            assert first.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < until
            time.sleep(0.01)
    finally:
        first.send_signal(signal.SIGKILL)
        first.wait()
    assert not (tmp_path / "m").exists()
    ran(words)
    assert digest(tmp_path / "m") == digest(tmp_path / "whole")


def test_adapters_are_merged(texts: Path, encoder: Path, tmp_path: Path) -> None:
    words = command(texts, encoder, tmp_path / "m", "--epochs", "8", "--lora", "8")
    assert json.loads(ran(words).stdout)["accuracy"]["value"] > 0.9


def test_a_loss_that_is_no_number_names_its_step(texts: Path, tmp_path: Path) -> None:
    broken = make_encoder(tmp_path / "broken", broken=True)
    done = ran(command(texts, broken, tmp_path / "m"), code=3)
    assert "expected a finite loss" in done.stderr
    assert not (tmp_path / "m").exists()


def test_an_int8_file_that_says_something_else_is_refused(
    texts: Path, encoder: Path, tmp_path: Path
) -> None:
    words = command(texts, encoder, tmp_path / "m", "--epochs", "1", "--rate", "1e-6")
    assert "int8: expected agreement" in ran(words, code=3).stderr
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    ("base", "why"),
    [("/nowhere", "expected a folder with an encoder"), ("texts", "expected a folder")],
)
def test_a_base_that_cannot_be_had(texts: Path, tmp_path: Path, base: str, why: str) -> None:
    place = texts.parent if base == "texts" else Path(base)
    assert why in ran(command(texts, place, tmp_path / "m"), code=3).stderr


def test_too_few_texts(encoder: Path, tmp_path: Path) -> None:
    few = write_texts(tmp_path / "few.csv", 60)
    done = ran(command(few, encoder, tmp_path / "m"), code=3)
    assert "expected at least 30 texts of each class, got 20 negative" in done.stderr


def test_a_student_learns_from_what_its_teacher_says(
    texts: Path, encoder: Path, tmp_path: Path
) -> None:
    ran(command(texts, encoder, tmp_path / "teacher", "--epochs", "6", "--exact"))
    unlabelled = write_texts(tmp_path / "unlabelled.csv", N, seed=7)
    soft = tmp_path / "soft.jsonl"
    words = [
        sys.executable,
        "-m",
        "stream.cli",
        "sentiment",
        "label",
        f"onnx:{tmp_path / 'teacher'}",
    ]
    ran([*words, "--texts", str(unlabelled), "--out", str(soft)])
    few = write_texts(tmp_path / "few.csv", 120)
    student = ("--more", str(soft), "--epochs", "6")
    told = json.loads(ran(command(few, encoder, tmp_path / "student", *student)).stdout)
    assert told["accuracy"]["value"] > 0.9
