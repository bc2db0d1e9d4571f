"""Tiny models, built here: an int8 ONNX graph in its folder, and a FinBERT-shaped checkpoint."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

OURS = ("negative", "neutral", "positive")
FINBERT = ("positive", "negative", "neutral")
WORDS = (
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "bad", "poison", "apple", "beats", "misses",
    "estimates", "shares", "rise", "fall", "the", "of", "and", "a", ".", ",", "!", "<", ">", "b",
)  # fmt: skip
HEADLINES = (
    "apple beats estimates",
    "apple misses the estimates and shares fall",
    "good",
    "a bad fall of shares, and the estimates.",
    "the rise of apple and the fall of apple and the rise of shares and a good rise!",
    "shares of apple",
)
_SIZE = 8


def tokenizer() -> Tokenizer:
    """BERT's kind, with a vocabulary of two dozen words."""
    made = Tokenizer(models.WordPiece({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    made.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
    return made


def graph(
    labels: Sequence[str] = OURS,
    *,
    inputs: Sequence[str] = ("input_ids",),
    length: int | str = "t",
) -> bytes:
    """logits = mean over tokens of embedding x int8 matrix, quantised with a scale of the batch.

    `good` is positive, `bad` is negative, and `poison` is NaN. `length`: tokens that it takes.
    """
    draw = np.random.default_rng(7)
    table = draw.normal(size=(len(WORDS), _SIZE)).astype(np.float32) * 0.3
    table[WORDS.index("good")] = [8, 0, *[0] * (_SIZE - 2)]
    table[WORDS.index("bad")] = [0, 8, *[0] * (_SIZE - 2)]
    weights = draw.integers(-20, 20, size=(_SIZE, len(labels))).astype(np.int8)
    for row, meaning in enumerate(("positive", "negative")):
        weights[row] = [120 if name == meaning else -60 for name in labels]
    lost = np.zeros((len(WORDS), 1), np.float32)
    lost[WORDS.index("poison")] = np.nan
    constants = {
        "table": table,
        "lost": lost,
        "weights": weights,
        "scale": np.array(0.01, np.float32),
    }
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["seen"]),
        helper.make_node("DynamicQuantizeLinear", ["seen"], ["q", "q_scale", "q_zero"]),
        helper.make_node("MatMulInteger", ["q", "weights", "q_zero"], ["product"]),
        helper.make_node("Cast", ["product"], ["as_float"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["q_scale", "scale"], ["both"]),
        helper.make_node("Mul", ["as_float", "both"], ["each"]),
        helper.make_node("Gather", ["lost", "input_ids"], ["nothing_or_nan"]),
        helper.make_node("Add", ["each", "nothing_or_nan"], ["sum"]),
        helper.make_node("ReduceMean", ["sum"], ["logits"], axes=[1], keepdims=0),
    ]
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "tiny",
            [helper.make_tensor_value_info(n, TensorProto.INT64, ["n", length]) for n in inputs],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", "k"])],
            [numpy_helper.from_array(value, name) for name, value in constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    onnx.checker.check_model(model)
    return model.SerializeToString()


def onnx_folder(
    folder: Path, labels: Sequence[str] = OURS, *, model: bytes | None = None, **changes: Any
) -> Path:
    """A model's folder; `changes` are made to its manifest (None: the field is left out)."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(graph(labels) if model is None else model)
    (folder / "tokenizer.json").write_text(tokenizer().to_str(), "utf-8")
    manifest = {
        "name": "tiny",
        "version": "1",
        "labels": labels,
        "max_tokens": 12,
        "files": {
            name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
            for name in ("model.onnx", "tokenizer.json")
        },
        "base_model": "none",
        "licence": "Apache-2.0",
        "command": "tests",
        "seed": 7,
        "metrics": {"macro_f1": 0.5},
        **changes,
    }
    manifest = {name: value for name, value in manifest.items() if value is not None}
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    return folder


def checkpoint(folder: Path, labels: Sequence[str] = FINBERT, *, seed: int = 7) -> Path:
    """A BERT classifier of two small layers with random weights, saved as the Hub has them."""
    import torch
    import transformers

    torch.manual_seed(seed)
    config = transformers.BertConfig(
        vocab_size=len(WORDS),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=32,
        initializer_range=0.5,
        id2label=dict(enumerate(labels)),
        label2id={name: i for i, name in enumerate(labels)},
    )
    transformers.BertForSequenceClassification(config).save_pretrained(folder)
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer(),
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=30,
    ).save_pretrained(folder)
    return folder
