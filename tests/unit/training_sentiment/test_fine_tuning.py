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
from training.errors import TrainingRefused
from training.sentiment.labelled import Labelled, read_labelled
from training.sentiment.recipe import Recipe
from training.sentiment.train import Trained, train

N = 600
RATE = 3e-3
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_texts(tmp_path_factory.mktemp("texts") / "texts.csv", N)


def trained(
    texts: Path, base: Path, out: Path, *, more: list[Labelled] | None = None, exact: bool = False,
    epochs: int = 6, seed: int = 0, rate: float = RATE, lora: int = 0,
) -> Trained:  # fmt: skip
    recipe = Recipe(base=str(base), seed=seed, epochs=epochs, rate=rate, lora=lora)
    rows = read_labelled(str(texts))
    return train(rows, more or [], recipe, out, name="tiny", command="a test", exact=exact)


def command(texts: Path, encoder: Path, out: Path, *more: str) -> list[str]:
    return [
        *(sys.executable, "-m", "stream.cli", "sentiment", "train"),
        *("--data", str(texts), "--base", str(encoder), "--out", str(out), "--name", "tiny"),
        *("--rate", str(RATE), "--epochs", "6", "--json", *more),
    ]


def ran(words: list[str], code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=300, check=False, env=ONE_THREAD
    )
    assert done.returncode == code, done.stderr
    return done


def digest(folder: Path) -> str:
    return hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()


def test_it_learns_and_ships_what_it_learnt(texts: Path, encoder: Path, tmp_path: Path) -> None:
    told = json.loads(ran(command(texts, encoder, tmp_path / "m")).stdout)
    assert told["accuracy"]["value"] > 0.95
    assert told["parity"]["agreement"] >= 0.99
    manifest = json.loads((tmp_path / "m" / "manifest.json").read_text())
    assert manifest["files"]["model.onnx"] == digest(tmp_path / "m")
    assert manifest["metrics"]["accuracy"] == pytest.approx(told["accuracy"]["value"], abs=1e-3)
    other = write_texts(tmp_path / "other.csv", 90, seed=2)
    words = [sys.executable, "-m", "stream.cli", "sentiment", "evaluate", f"onnx:{tmp_path}/m"]
    (judged,) = json.loads(ran([*words, "--data", str(other), "--json"]).stdout).values()
    assert judged["accuracy"]["value"] > 0.9


def test_a_killed_run_goes_on_and_ends_the_same(texts: Path, encoder: Path, tmp_path: Path) -> None:
    ran(command(texts, encoder, tmp_path / "whole"))
    words = command(texts, encoder, tmp_path / "m", "--resume", str(tmp_path / "w"))
    first = subprocess.Popen(
        words, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=ONE_THREAD
    )
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


def test_a_seed_says_it_all(texts: Path, encoder: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        trained(texts, encoder, tmp_path / name, seed=seed)
    assert digest(tmp_path / "a") == digest(tmp_path / "b") != digest(tmp_path / "c")


def test_adapters_are_merged(texts: Path, encoder: Path, tmp_path: Path) -> None:
    found = trained(texts, encoder, tmp_path / "m", epochs=10, lora=8)
    assert found.shipped.accuracy.value > 0.9


def test_frozen_layers_keep_their_weights(texts: Path, encoder: Path, tmp_path: Path) -> None:
    from training.sentiment.classifier import load_base
    from training.sentiment.finetune import finetune

    rows = read_labelled(str(texts))
    recipe = Recipe(base=str(encoder), epochs=1, rate=RATE, freeze=1)
    found, _ = finetune(rows[100:], rows[:100], recipe, tmp_path)
    before = load_base(str(encoder))[0].state_dict()
    changed = {name for name, w in found.state_dict().items() if not w.equal(before[name])}
    frozen = ("encoder.embeddings.", "encoder.encoder.layer.0.")
    assert any(name.startswith("encoder.encoder.layer.1.") for name in changed)
    assert not any(name.startswith(frozen) for name in changed)


def test_more_frozen_layers_than_there_are(texts: Path, encoder: Path, tmp_path: Path) -> None:
    rows, recipe = read_labelled(str(texts)), Recipe(base=str(encoder), freeze=9)
    with pytest.raises(TrainingRefused, match="--freeze 9: expected at most the encoder's 2"):
        train(rows, [], recipe, tmp_path / "m", name="tiny", command="a test")


def test_a_student_learns_from_what_its_teacher_says(
    texts: Path, encoder: Path, tmp_path: Path
) -> None:
    trained(texts, encoder, tmp_path / "teacher", exact=True)
    unlabelled = write_texts(tmp_path / "unlabelled.csv", N, seed=7)
    soft = tmp_path / "soft.jsonl"
    words = [sys.executable, "-m", "stream.cli", "sentiment", "label", f"onnx:{tmp_path}/teacher"]
    ran([*words, "--texts", str(unlabelled), "--sample", "500", "--out", str(soft)])
    assert len(soft.read_text().splitlines()) == 500
    few = write_texts(tmp_path / "few.csv", 120)
    found = trained(few, encoder, tmp_path / "student", more=read_labelled(str(soft)))
    assert found.shipped.accuracy.value > 0.9


def test_a_loss_that_is_no_number_names_its_step(texts: Path, tmp_path: Path) -> None:
    broken = make_encoder(tmp_path / "broken", broken=True)
    with pytest.raises(TrainingRefused, match="expected a finite loss"):
        trained(texts, broken, tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_an_int8_file_that_says_something_else_is_refused(
    texts: Path, encoder: Path, tmp_path: Path
) -> None:
    with pytest.raises(TrainingRefused, match="int8: expected agreement"):
        trained(texts, encoder, tmp_path / "m", epochs=1, rate=1e-6)
    assert not (tmp_path / "m").exists()


def test_a_base_or_folder_that_does_not_fit(texts: Path, encoder: Path, tmp_path: Path) -> None:
    for base in (Path("/nowhere"), texts.parent):
        with pytest.raises(TrainingRefused, match="expected a folder with an encoder"):
            trained(texts, base, tmp_path / "m")
    (tmp_path / "there").mkdir()
    with pytest.raises(TrainingRefused, match="expected a folder that is not there yet"):
        trained(texts, encoder, tmp_path / "there")


def test_too_few_texts(encoder: Path, tmp_path: Path) -> None:
    few = write_texts(tmp_path / "few.csv", 60)
    with pytest.raises(TrainingRefused, match="at least 30 texts of each class, got 20 negative"):
        trained(few, encoder, tmp_path / "m")
