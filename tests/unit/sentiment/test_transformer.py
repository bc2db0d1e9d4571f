"""The torch model on a FinBERT-shaped checkpoint, built small, its labels permuted."""

from __future__ import annotations

import json
import os
import random
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.sentiment.model import NEUTRAL, SentimentModelError, load_sentiment_model
from models.sentiment.transformer import Transformer
from tests.unit.sentiment import tiny

WITH_TORCH = pytest.mark.skipif(
    find_spec("torch") is None and "CI" not in os.environ,
    reason="needs torch: pip install -c constraints.txt -e '.[torch]'",
)
pytestmark = WITH_TORCH


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.checkpoint(tmp_path_factory.mktemp("My-FinBERT"))


@pytest.fixture(scope="module")
def model(folder: Path) -> Transformer:
    return Transformer(str(folder), device="cpu")


def edited(folder: Path, **changes: Any) -> None:
    config = json.loads((folder / "config.json").read_text("utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, **changes}), "utf-8")


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def reference(folder: Path, text: str) -> dict[str, float]:
    """What the library itself says of one text, by label."""
    import torch
    import transformers

    net = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    given = transformers.AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")
    with torch.no_grad():
        shares = net(given["input_ids"], given["attention_mask"]).logits.softmax(-1)[0].tolist()
    return {net.config.id2label[i]: share for i, share in enumerate(shares)}


@pytest.mark.parametrize("text", tiny.HEADLINES)
def test_probabilities_are_the_library_s_in_our_order(
    folder: Path, model: Transformer, text: str
) -> None:
    (found,) = model.probabilities([text])
    assert found._asdict() == pytest.approx(reference(folder, text), abs=1e-6)


def test_the_order_of_labels_is_the_config_s_own(model: Transformer, copy: Path) -> None:
    edited(copy, id2label={"0": "Bearish", "1": "Bullish", "2": "Neutral"})
    (was,), (now,) = (m.probabilities(["good"]) for m in (model, Transformer(str(copy))))
    assert (now.negative, now.positive, now.neutral) == (was.positive, was.negative, was.neutral)


@given(st.lists(st.sampled_from(tiny.HEADLINES), max_size=9))
@settings(max_examples=50, deadline=None)
def test_on_a_cpu_a_score_is_the_same_bit_for_bit_alone_in_any_batch_and_in_any_order(
    model: Transformer, texts: list[str]
) -> None:
    alone = {text: model.probabilities([text])[0] for text in tiny.HEADLINES}
    assert len(set(alone.values())) == len(tiny.HEADLINES)
    assert model.probabilities(texts) == [alone[text] for text in texts]


@pytest.mark.parametrize("budget", [16, 100, 4096])
def test_in_grids_too_a_score_does_not_hang_on_its_batch_mates(
    folder: Path, model: Transformer, budget: int
) -> None:
    grids = Transformer(str(folder), device="auto", grids=True, budget=budget)
    on_cpu = grids.version.endswith("float32")
    alone = {text: grids.probabilities([text])[0] for text in (*tiny.HEADLINES, "")}
    for text, found in alone.items():
        assert found == pytest.approx(model.probabilities([text])[0], abs=1e-5 if on_cpu else 0.05)
        longer = [each for each in alone if len(each.split()) >= len(text.split())]
        assert grids.probabilities([text, *longer])[0] == found  # its row is the first, as alone
    draw = random.Random(budget)
    for n in (0, 1, 2, 7, 40, 300):
        texts = draw.choices(list(alone), k=n)
        for text, found in zip(texts, grids.probabilities(texts), strict=True):
            # Some processors add up a grid's last rows in another order; none has grids by default.
            assert found == pytest.approx(alone[text], rel=0, abs=1e-6 if on_cpu else 0)


def test_texts_are_cut_at_what_the_model_has_positions_for(model: Transformer) -> None:
    longest = "shares of apple rise " * 7
    assert model.probabilities([longest]) == model.probabilities([longest + "good " * 500])


def test_a_text_without_a_known_word_is_neutral(model: Transformer) -> None:
    assert model.probabilities(["", "zebra", "good"])[:2] == [NEUTRAL, NEUTRAL]


# -- its folder ----------------------------------------------------------------------------------


def test_name_and_version_say_what_scored(model: Transformer, copy: Path, tmp_path: Path) -> None:
    assert model.name.startswith("my_finbert")
    digest, _, precision = model.version.partition(".")
    assert (len(digest), precision) == (8, "float32")
    assert Transformer(str(copy)).version == model.version
    edited(copy, id2label={"0": "negative", "1": "positive", "2": "neutral"})
    other = tiny.checkpoint(tmp_path / "other", seed=8)
    versions = {model.version, *(Transformer(str(f)).version for f in (copy, other))}
    assert len(versions) == 3


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def without_head(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    kept = {name: value for name, value in weights.items() if not name.startswith("classifier")}
    save_file(kept, folder / "model.safetensors", {"format": "pt"})


def two_labels(folder: Path) -> None:
    edited(folder, id2label={"0": "negative", "1": "positive"})


def unnamed_labels(folder: Path) -> None:
    edited(folder, id2label={str(i): f"LABEL_{i}" for i in range(3)})


def cut_short(folder: Path) -> None:
    raw = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(raw[: len(raw) // 2])


def python_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "CanineTokenizer"}', "utf-8")


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (python_tokenizer, "expected a tokenizer that tokenizer.json describes, got CanineTokeniz"),
        (pickled, r"expected weights as \*.safetensors, found none; other formats may run code"),
        (without_head, "expected a trained classifier, found no weights for classifier.bias, clas"),
        (two_labels, "labels: expected 3, got 2: negative, positive"),
        (unnamed_labels, "got 'LABEL_0'; name them in the model's config"),
        (cut_short, "torch:.*/copy: "),
        (lambda f: (f / "config.json").unlink(), "expected config.json, found none"),
        (lambda f: (f / "config.json").write_text("{"), "torch:.*/copy: "),
        (lambda f: (f / "tokenizer.json").write_text("{"), "torch:.*/copy: "),
        (lambda f: edited(f, model_type="unheard_of"), "torch:.*/copy: .*unheard_of"),
    ],
)
def test_a_checkpoint_that_cannot_serve_is_refused(copy: Path, damage: Any, says: str) -> None:
    damage(copy)
    with pytest.raises(SentimentModelError, match=says):
        Transformer(str(copy))


def test_code_that_a_checkpoint_brings_is_not_run(copy: Path, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    (copy / "mine.py").write_text(f"open({str(ran)!r}, 'w')\nclass Mine: pass\n", "utf-8")
    auto_map = {"AutoConfig": "mine.Mine", "AutoModelForSequenceClassification": "mine.Mine"}
    edited(copy, auto_map=auto_map)
    Transformer(str(copy)).probabilities(["good"])
    edited(copy, model_type="mine")
    with pytest.raises(SentimentModelError, match="contains custom code"):
        Transformer(str(copy))
    assert not ran.exists()


def test_a_device_that_is_not_there_is_refused(folder: Path) -> None:
    import torch

    if torch.cuda.is_available():
        assert Transformer(str(folder), device="cuda").version.endswith("16")
        return
    with pytest.raises(SentimentModelError, match="device: expected cuda, found none"):
        Transformer(str(folder), device="cuda")


def test_a_device_without_memory_for_it_is_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    def full(*_: object) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr(torch.nn.Module, "to", full)
    with pytest.raises(SentimentModelError, match=r"^torch:.*: c.*: CUDA out of memory"):
        Transformer(str(folder))


# -- where it comes from -------------------------------------------------------------------------


def test_it_is_loaded_from_a_cache_folder_by_its_name_without_a_network(
    folder: Path, model: Transformer, tmp_path: Path
) -> None:
    revision = "a" * 40
    home = tmp_path / "models--ProsusAI--finbert"
    shutil.copytree(folder, home / "snapshots" / revision)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text(revision)
    for name in ("torch", "torch:ProsusAI/finbert", f"torch:ProsusAI/finbert@{revision}"):
        found = load_sentiment_model(name, cache=tmp_path, device="cpu")
        assert (found.name, found.version) == ("finbert", model.version)
        assert found.probabilities(["good"]) == model.probabilities(["good"])


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("torch:ProsusAI/finbert", "ProsusAI/finbert: not to be had from .*nothing is downloaded"),
        ("torch:./none", "./none: expected the folder of a checkpoint, found none"),
        ("torch:a b", "expected a folder, NAME or NAME@REVISION, got 'a b'"),
        ("torch:a/b/c", "expected a folder, NAME or NAME@REVISION, got 'a/b/c'"),
    ],
)
def test_a_name_that_leads_nowhere_is_refused(tmp_path: Path, name: str, says: str) -> None:
    with pytest.raises(SentimentModelError, match=says):
        load_sentiment_model(name, cache=tmp_path)
