"""`tapewire sentiment train` from labelled texts to a folder that scores, with a small encoder."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from typer.testing import CliRunner

if find_spec("torch") is None and "CI" not in os.environ:
    pytest.skip("torch is not installed (pip install '.[torch]')", allow_module_level=True)

import torch
from safetensors.torch import load_file, save_file

from models.sentiment.manifest import Manifest, read_manifest
from stream.cli.app import app
from tests.unit.training_sentiment.tiny import make_encoder, write_texts
from training.errors import TrainingRefused
from training.sentiment.calibrate import fitted_temperature
from training.sentiment.checkpoints import newest
from training.sentiment.classifier import load_base
from training.sentiment.export import export, parity, run_file
from training.sentiment.finetune import finetune
from training.sentiment.labelled import Labelled, read_labelled
from training.sentiment.recipe import Recipe
from training.sentiment.split import split
from training.sentiment.train import Trained, train

N = 600
RATE = 3e-3


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)  # as the killed process: sums add up in one order


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_encoder(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_texts(tmp_path_factory.mktemp("texts") / "texts.csv", N)


@pytest.fixture(scope="module")
def rows(texts: Path) -> list[Labelled]:
    return read_labelled(str(texts))


@pytest.fixture(scope="module")
def whole(texts: Path, encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the verb makes; `told.json` beside it is what it said."""
    folder = tmp_path_factory.mktemp("whole") / "m"
    told = ran(words(texts, encoder, folder, "--licence", "MIT"))
    (folder.parent / "told.json").write_text(told)
    return folder


def words(texts: Path, encoder: Path, out: Path, *more: str) -> list[str]:
    return [
        *("sentiment", "train", "--data", str(texts), "--base", str(encoder), "--out", str(out)),
        *("--name", "tiny", "--rate", str(RATE), "--epochs", "6", "--json", *more),
    ]


def ran(words: list[str]) -> str:
    return CliRunner().invoke(app, words, catch_exceptions=False).stdout


def trained(
    rows: list[Labelled], base: Path, out: Path, *, more: list[Labelled] | None = None,
    name: str = "tiny", **changes: Any,
) -> Trained:  # fmt: skip
    recipe = Recipe(base=str(base), epochs=6, rate=RATE)._replace(**changes)
    return train(rows, more or [], recipe, out, name=name, command="a test", exact=True)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_it_learns_and_ships_what_it_learnt(whole: Path, tmp_path: Path) -> None:
    told = json.loads((whole.parent / "told.json").read_text())
    assert told["accuracy"]["value"] > 0.95
    other = write_texts(tmp_path / "other.csv", 90, seed=2)
    verb = ["sentiment", "evaluate", f"onnx:{whole}", "--data", str(other), "--json"]
    (judged,) = json.loads(ran(verb)).values()
    assert judged["accuracy"]["value"] > 0.9


def test_a_manifest_says_what_the_model_is_and_what_made_it(
    whole: Path, texts: Path, encoder: Path
) -> None:
    manifest: Manifest = read_manifest(whole)
    told = json.loads((whole.parent / "told.json").read_text())
    assert manifest.files["model.onnx"] == digest(whole / "model.onnx")
    assert manifest.metrics["accuracy"] == pytest.approx(told["accuracy"]["value"], abs=1e-3)
    assert manifest.licence == "MIT"
    assert manifest.made_from == {
        "model.safetensors": digest(encoder / "model.safetensors"),
        "texts.csv": digest(texts),
    }


def test_the_temperature_is_that_of_the_file_that_is_shipped(
    whole: Path, rows: list[Labelled], encoder: Path
) -> None:
    choose = [rows[i] for i in split(rows, seed=13)[1]]
    logits = run_file(whole / "model.onnx", load_base(str(encoder))[1], choose)
    fitted = fitted_temperature(logits, [row.label for row in choose])
    assert read_manifest(whole).temperature == pytest.approx(fitted, abs=0.002)


# -- stopped runs --------------------------------------------------------------------------------


def whole_states(folder: Path) -> list[Path]:
    found = []
    for path in folder.glob("checkpoint-*/trainer_state.json"):
        try:
            json.loads(path.read_text())
        except (OSError, ValueError):
            continue
        found.append(path)
    return found


def test_a_killed_run_goes_on_and_ends_the_same(
    whole: Path, texts: Path, encoder: Path, tmp_path: Path
) -> None:
    work = tmp_path / "w"
    resumed = words(texts, encoder, tmp_path / "m", "--resume", str(work))
    first = subprocess.Popen(
        [sys.executable, "-m", "stream.cli", *resumed],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    try:
        until = time.monotonic() + 240
        while not whole_states(work):
            assert first.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < until
            time.sleep(0.01)
    finally:
        first.send_signal(signal.SIGKILL)
        first.wait()
    assert not (tmp_path / "m").exists()
    state = whole_states(work)[-1]
    cut_short = Path(shutil.copytree(state.parent, work / "checkpoint-9999"))
    (cut_short / state.name).write_bytes(state.read_bytes()[:200])
    table = ran([each for each in resumed if each != "--json"])
    assert "shipped" in table
    assert "of labels as before the export" in table
    assert digest(tmp_path / "m" / "model.onnx") == digest(whole / "model.onnx")
    assert not cut_short.exists()


class Stopped(Exception):
    pass


def fitted(
    rows: list[Labelled], recipe: Recipe, folder: Path, stop_at: float = 2.0
) -> tuple[int, dict[str, torch.Tensor]]:
    """Steps made and the weights, learning from 96 rows and choosing by one text that says it all:
    macro F1 stays what it is."""
    one = rows[0].text
    choose = [row._replace(text=one) for row in rows[100:130]]
    steps = []

    def progress(share: float) -> None:
        steps.append(share)
        if share >= stop_at:
            raise Stopped

    model, _ = finetune(rows[:96], choose, recipe, folder, progress)
    return len(steps), model.state_dict()


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(weights.equal(other[name]) for name, weights in one.items())


def test_patience_goes_on_where_it_was_and_what_had_ended_does_not_train_on(
    rows: list[Labelled], encoder: Path, tmp_path: Path
) -> None:
    recipe = Recipe(base=str(encoder), epochs=10, rate=RATE, patience=3)
    n_whole, weights = fitted(rows, recipe, tmp_path / "whole")
    assert n_whole == 3 * 4  # three batches an epoch: the best, and three that are no better
    work = tmp_path / "w"
    with pytest.raises(Stopped):
        fitted(rows, recipe, work, stop_at=10 / 30)  # in the fourth epoch
    shutil.copytree(work, tmp_path / "impatient")
    n, again = fitted(rows, recipe, work)
    assert (n, same(weights, again)) == (3, True)
    assert next(iter(again.values())).device.type == "cpu"
    n, again = fitted(rows, recipe, work)  # as if killed while it was exported
    assert (n, same(weights, again)) == (0, True)
    # Its checkpoints are those of a run with less patience, killed before it took the best.
    run = tmp_path / "impatient" / "run.json"
    run.write_text(json.dumps({**json.loads(run.read_text()), "patience": 2}))
    shutil.rmtree(work)
    (tmp_path / "impatient").rename(work)  # where its best epoch is said to lie
    n, again = fitted(rows, recipe._replace(patience=2), work)
    assert (n, same(weights, again)) == (0, True)


def test_a_folder_of_another_run_or_one_that_was_moved_is_refused(
    rows: list[Labelled], encoder: Path, tmp_path: Path
) -> None:
    recipe = Recipe(base=str(encoder), epochs=2, rate=RATE)
    with pytest.raises(Stopped):
        fitted(rows, recipe, tmp_path / "w", stop_at=4 / 6)
    for other, what in (
        ((rows, recipe._replace(rate=1e-4)), r"rate\)"),
        (([*rows[:5], rows[5]._replace(weight=0.5), *rows[6:]], recipe), "texts to learn from"),
        ((rows, recipe._replace(base=str(make_encoder(tmp_path / "d", distilled=True)))), "base"),
    ):
        with pytest.raises(TrainingRefused, match=f"another's .*{what}.*name another folder"):
            fitted(*other, tmp_path / "w")
    (tmp_path / "w").rename(tmp_path / "moved")
    with pytest.raises(TrainingRefused, match=r"expected the best epoch in .*move the folder back"):
        newest(tmp_path / "moved", 2)


# -- recipes -------------------------------------------------------------------------------------


def test_a_seed_says_it_all(rows: list[Labelled], encoder: Path, tmp_path: Path) -> None:
    found = [
        finetune(rows[:96], rows[100:130], Recipe(str(encoder), seed, 1), tmp_path / name)[0]
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    one, again, other = (model.state_dict() for model in found)
    assert same(one, again)
    assert not same(one, other)


def test_adapters_are_merged(rows: list[Labelled], encoder: Path, tmp_path: Path) -> None:
    recipe = Recipe(base=str(encoder), epochs=8, rate=1e-2, lora=8)
    found, tokenizer = finetune(rows[100:], rows[:100], recipe, tmp_path)
    said = found.logits([row.text for row in rows[:100]], tokenizer).argmax(-1)
    assert (said == [row.label for row in rows[:100]]).mean() > 0.6  # by chance a third
    before, after = load_base(str(encoder))[0].state_dict(), found.state_dict()
    assert set(after) == set(before)
    changed = {name for name in before if not after[name].equal(before[name])}
    assert "encoder.encoder.layer.0.attention.self.query.weight" in changed
    assert "encoder.embeddings.word_embeddings.weight" not in changed


@pytest.mark.parametrize("distilled", [False, True])
def test_frozen_layers_keep_their_weights(
    rows: list[Labelled], distilled: bool, tmp_path: Path
) -> None:
    base = str(make_encoder(tmp_path / "base", distilled=distilled))
    recipe = Recipe(base=base, epochs=1, rate=RATE, freeze=1)
    found, _ = finetune(rows[:96], rows[100:130], recipe, tmp_path / "w")
    before = load_base(base)[0].state_dict()
    changed = {name for name, w in found.state_dict().items() if not w.equal(before[name])}
    assert any(".layer.1." in name for name in changed)
    assert not any(".layer.0." in name or "embeddings" in name for name in changed)


def test_a_student_learns_from_what_its_teacher_says(
    whole: Path, encoder: Path, tmp_path: Path
) -> None:
    unlabelled = write_texts(tmp_path / "unlabelled.csv", N, seed=7)
    soft = tmp_path / "soft.jsonl"
    verb = ["sentiment", "label", f"onnx:{whole}", "--texts", str(unlabelled)]
    ran([*verb, "--sample", "500", "--out", str(soft)])
    assert len(soft.read_text().splitlines()) == 500
    few = read_labelled(str(write_texts(tmp_path / "few.csv", 120)))
    found = trained(few, encoder, tmp_path / "student", more=read_labelled(str(soft)))
    assert found.shipped.accuracy.value > 0.9


# -- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": "my model"}, "--name my model: expected 1 to 24 letters"),
        ({"seed": -1}, "--seed -1: expected 0 to"),
        ({"freeze": 1, "lora": 8}, "--freeze and --lora: expected one"),
        ({"four_bit": True}, "--qlora: expected --lora R too"),
        pytest.param(
            {"four_bit": True, "lora": 8},
            "--qlora: expected a CUDA device, found none; use --lora alone$",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device"),
        ),
        ({}, "--base /nowhere: expected a folder with an encoder"),
    ],
)
def test_a_misfit_is_refused_before_anything_is_loaded(
    rows: list[Labelled], changes: dict[str, Any], says: str, tmp_path: Path
) -> None:
    with pytest.raises(TrainingRefused, match=says):
        trained(rows, Path("/nowhere"), tmp_path / "m", **changes)
    assert not list(tmp_path.iterdir())


def test_more_frozen_layers_than_there_are(
    rows: list[Labelled], encoder: Path, tmp_path: Path
) -> None:
    with pytest.raises(TrainingRefused, match="--freeze 9: expected at most the encoder's 2"):
        trained(rows, encoder, tmp_path / "m", freeze=9)
    assert not list(tmp_path.iterdir())


def test_a_loss_that_is_no_number_names_its_step(rows: list[Labelled], tmp_path: Path) -> None:
    broken = make_encoder(tmp_path / "broken", broken=True)
    recipe = Recipe(base=str(broken), epochs=2)
    with pytest.raises(TrainingRefused, match="step 1: expected a finite loss, got nan"):
        finetune(rows[:96], rows[100:130], recipe, tmp_path / "w")


def test_a_base_without_some_of_its_weights(encoder: Path, tmp_path: Path) -> None:
    lame = Path(shutil.copytree(encoder, tmp_path / "lame"))
    weights = load_file(lame / "model.safetensors")
    del weights["encoder.layer.1.output.dense.weight"]
    save_file(weights, lame / "model.safetensors", {"format": "pt"})
    with pytest.raises(
        TrainingRefused, match=r"no weights for encoder.layer.1.output.dense.weight"
    ):
        load_base(str(lame))


def test_an_int8_file_that_says_something_else_is_refused(
    rows: list[Labelled], encoder: Path, tmp_path: Path
) -> None:
    model, tokenizer = load_base(str(encoder))
    with torch.no_grad():  # a channel that is always 0 takes all of the head's seven bits
        norm = model.encoder.encoder.layer[1].output.LayerNorm
        norm.weight[0] = norm.bias[0] = 0.0
        model.head.weight[:, 0] = 1e6
        model.head.bias[:] = torch.tensor([1e-3, 0.0, 0.0])
    with pytest.raises(TrainingRefused, match=r"int8: expected agreement >= 0\.99"):
        export(model, tokenizer, rows[:60], tmp_path)
    assert not list(tmp_path.iterdir())
    export(model, tokenizer, rows[:60], tmp_path, exact=True)


def test_a_layer_that_eight_bits_would_ruin_stays_in_32(
    rows: list[Labelled], encoder: Path, tmp_path: Path
) -> None:
    torch.manual_seed(3)  # of the head
    model, tokenizer = load_base(str(encoder))
    first = model.encoder.encoder.layer[0]
    with torch.no_grad():  # one input of the layer is huge and counts for nothing
        first.intermediate.dense.bias[0] = 1e5
        first.output.dense.weight *= 50.0
        first.output.dense.weight[:, 0] = 0.0
        model.head.weight *= 50.0
    assert export(model, tokenizer, rows[:60], tmp_path).parity.holds
    ops = [node.op_type for node in onnx.load(tmp_path / "model.onnx").graph.node]
    assert ops.count("MatMulInteger") == 6 * len(model.encoder.encoder.layer) + 1 - 2  # a head's


def test_parity_of_two_files(rows: list[Labelled], encoder: Path, tmp_path: Path) -> None:
    labels = [row.label for row in rows[:60]]
    logits = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        model, tokenizer = load_base(str(encoder))
        (tmp_path / str(seed)).mkdir()
        made = export(model, tokenizer, rows[:60], tmp_path / str(seed), exact=True)
        assert made.parity.holds
        logits.append(run_file(tmp_path / str(seed) / "model.onnx", tokenizer, rows[:60]))
        np.testing.assert_array_equal(logits[-1], made.shipped)
    assert parity(logits[0], logits[0], labels).holds
    assert not parity(logits[0], logits[1], labels).holds


def test_a_folder_that_is_there_and_too_few_texts(
    rows: list[Labelled], encoder: Path, tmp_path: Path
) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(TrainingRefused, match="expected a folder that is not there yet"):
        trained(rows, encoder, tmp_path / "there")
    with pytest.raises(TrainingRefused, match="at least 30 texts of each class, got 20 negative"):
        trained(rows[:60], encoder, tmp_path / "m")
