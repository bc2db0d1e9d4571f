"""The ONNX model: label order, batch-mates, damage, odd logits."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.sentiment.model import NEUTRAL, SentimentModelError, load_sentiment_model
from models.sentiment.onnx import OnnxModel
from tests.unit.sentiment import tiny


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> OnnxModel:
    return OnnxModel(tiny.onnx_folder(tmp_path_factory.mktemp("tiny")))


@pytest.mark.parametrize("labels", [tiny.OURS, tiny.FINBERT, ("Bullish", "NEUTRAL", "bearish")])
def test_probabilities_come_in_our_order_whatever_the_model_s_own(
    tmp_path: Path, labels: tuple[str, ...]
) -> None:
    plain = [{"Bullish": "positive", "bearish": "negative"}.get(n, n.lower()) for n in labels]
    found = OnnxModel(tiny.onnx_folder(tmp_path, labels, model=tiny.graph(plain)))
    good, bad = found.probabilities(["good", "bad"])
    assert good.positive > 0.9
    assert bad.negative > 0.9


def test_the_graph_s_own_batches_would_mix_texts() -> None:
    """Else the next test could not fail."""
    session = onnxruntime.InferenceSession(tiny.graph())
    ids = [tiny.WORDS.index(word) for word in ("apple", "good")]
    alone = session.run(None, {"input_ids": np.array([[ids[0]]])})[0][0]
    beside = session.run(None, {"input_ids": np.array([[ids[0]], [ids[1]]])})[0][0]
    assert np.abs(alone - beside).max() > 0.001


@given(st.lists(st.sampled_from(tiny.HEADLINES), max_size=9))
@settings(max_examples=50, deadline=None)
def test_a_score_is_the_same_bit_for_bit_alone_in_any_batch_and_in_any_order(
    model: OnnxModel, texts: list[str]
) -> None:
    alone = {text: model.probabilities([text])[0] for text in tiny.HEADLINES}
    assert len(set(alone.values())) == len(tiny.HEADLINES)
    assert model.probabilities(texts) == [alone[text] for text in texts]


def test_a_temperature_above_one_is_less_sure(tmp_path: Path, model: OnnxModel) -> None:
    warm = OnnxModel(tiny.onnx_folder(tmp_path, temperature=3.0))
    (sure,), (less,) = model.probabilities(["good"]), warm.probabilities(["good"])
    assert sure.positive > less.positive > less.neutral
    assert sure.positive / sure.neutral == pytest.approx((less.positive / less.neutral) ** 3)


def test_a_text_is_cut_at_max_tokens(model: OnnxModel) -> None:
    ten = "shares of apple " * 3 + "rise"
    within, cut, longer = model.probabilities([ten, ten + " good good", ten + " bad" * 99])
    assert within == cut == longer != model.probabilities(["shares of apple rise"])[0]


def test_a_text_without_a_known_word_is_neutral(model: OnnxModel) -> None:
    unknown = ["", "  ", "zebra", "\x00\x07", "\U0001f680", "[UNK] zebra"]
    assert model.probabilities(unknown) == [NEUTRAL] * len(unknown)


def test_inputs_are_those_that_the_graph_asks_for(tmp_path: Path, model: OnnxModel) -> None:
    every = ("input_ids", "attention_mask", "token_type_ids")
    folder = tiny.onnx_folder(tmp_path, model=tiny.graph(inputs=every))
    assert OnnxModel(folder).probabilities(["good"]) == model.probabilities(["good"])
    folder = tiny.onnx_folder(tmp_path, model=tiny.graph(inputs=("input_ids", "position_ids")))
    with pytest.raises(SentimentModelError, match=r"expected inputs among .*, got position_ids"):
        OnnxModel(folder)


def test_logits_that_are_no_numbers_fail_and_name_themselves(model: OnnxModel) -> None:
    with pytest.raises(SentimentModelError, match=r"expected 3 finite numbers, got .nan, nan, nan"):
        model.probabilities(["good", "a poison"])
    assert len(model.probabilities(["good", "a fall"])) == 2


# -- its folder ----------------------------------------------------------------------------------


def altered(folder: Path) -> None:
    raw = bytearray((folder / "model.onnx").read_bytes())
    raw[-1] ^= 1
    (folder / "model.onnx").write_bytes(raw)


def rewritten(**changes: Any) -> Callable[[Path], object]:
    return lambda folder: tiny.onnx_folder(folder, **{"model": tiny.graph(), **changes})


def listed_otherwise(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    del manifest["files"]["tokenizer.json"]
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda f: (f / "manifest.json").unlink(), "manifest.json: expected a file of a sentiment"),
        (lambda f: (f / "model.onnx").unlink(), "model.onnx: expected a file of a sentiment model"),
        (lambda f: (f / "tokenizer.json").unlink(), "tokenizer.json: expected a file of a sentim"),
        (altered, r"model.onnx: expected sha256 [0-9a-f]{64}, got [0-9a-f]{64}; copy or train"),
        (lambda f: (f / "tokenizer.json").write_text("{}"), "tokenizer.json: expected sha256"),
        (lambda f: (f / "manifest.json").write_text("{"), "manifest.json: Input data was truncat"),
        (lambda f: (f / "manifest.json").write_bytes(b"\xff"), "manifest.json: "),
        (listed_otherwise, "expected the sha256 of tokenizer.json among its files"),
        (rewritten(labels=None), "missing required field `labels`"),
        (rewritten(labels=["negative", "positive"]), "labels: expected 3, got 2: negative, positi"),
        (rewritten(labels=["LABEL_0", "neutral", "positive"]), "got 'LABEL_0'; name them in the"),
        (rewritten(labels=["bullish", "neutral", "positive"]), "expected three meanings, got bull"),
        (rewritten(temperature=0.0), r"Expected `float` > 0.* - at `\$.temperature`"),
        (rewritten(max_tokens=1), r"Expected `int` >= 3 - at `\$.max_tokens`"),
        (rewritten(name="a b"), r"at `\$.name`"),
        (rewritten(model=b"no graph"), "unreadable model or tokenizer: "),
        (rewritten(model=b""), "unreadable model or tokenizer: "),
        (rewritten(model=tiny.graph([*tiny.OURS, "mixed"])), "expected 3 finite numbers, got .*,"),
        (rewritten(model=tiny.graph(tiny.OURS[:2])), "expected to score 12 tokens, got logits: "),
        (rewritten(model=tiny.graph(length=11)), "expected to score 12 tokens, got .*11"),
    ],
)
def test_a_folder_that_is_not_whole_is_refused(
    tmp_path: Path, damage: Callable[[Path], object], says: str
) -> None:
    damage(tiny.onnx_folder(tmp_path))
    with pytest.raises(SentimentModelError, match=says):
        OnnxModel(tmp_path)


def test_altered_bytes_never_reach_a_parser(tmp_path: Path, monkeypatch: Any) -> None:
    altered(tiny.onnx_folder(tmp_path))
    monkeypatch.delattr(onnxruntime, "InferenceSession")
    with pytest.raises(SentimentModelError, match=r"model\.onnx: expected sha256"):
        OnnxModel(tmp_path)


def test_the_version_changes_with_all_that_a_score_hangs_on(tmp_path: Path) -> None:
    folders = [
        tiny.onnx_folder(tmp_path / str(i), **changes)
        for i, changes in enumerate(
            [
                {},
                {"temperature": 1.5},
                {"max_tokens": 11},
                {"labels": tiny.FINBERT, "model": tiny.graph()},
                {"model": tiny.graph(inputs=("input_ids", "attention_mask"))},
                {"version": "2"},
            ]
        )
    ]
    versions = [OnnxModel(folder).version for folder in folders]
    assert len(set(versions)) == len(versions)
    assert [v.partition(".")[0] for v in versions] == ["1", "1", "1", "1", "1", "2"]
    noted = OnnxModel(tiny.onnx_folder(tmp_path / "noted", metrics={"macro_f1": 0.9}))
    assert noted.version == versions[0]


def test_it_is_loaded_by_its_folder(tmp_path: Path) -> None:
    found = load_sentiment_model(f"onnx:{tiny.onnx_folder(tmp_path)}")
    assert found.name == "tiny"
    with pytest.raises(SentimentModelError, match=r"none/manifest\.json: expected a file of a"):
        load_sentiment_model(f"onnx:{tmp_path}/none")
