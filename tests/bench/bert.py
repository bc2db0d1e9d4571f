"""BERT's shape with random weights: an int8 ONNX graph, a checkpoint, headlines to score."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from models.sentiment.lexicon import FINANCE_TERMS

LABELS = ("positive", "negative", "neutral")
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
PLAIN = (
    "the",
    "of",
    "and",
    "to",
    "in",
    "for",
    "on",
    "its",
    "after",
    "as",
    "at",
    "by",
    "inc",
    "says",
)
VOCABULARY = [
    *SPECIAL, *LETTERS, *(f"##{c}" for c in LETTERS), *".,:;$%-'", *PLAIN,
    *sorted(w for w in FINANCE_TERMS if w.isalpha() and len(w) > 1),
]  # fmt: skip
POSITIONS = 128


class Shape(NamedTuple):
    layers: int
    width: int
    heads: int
    inner: int


MINILM = Shape(6, 384, 12, 1536)
BERT_BASE = Shape(12, 768, 12, 3072)


def tokenizer() -> Tokenizer:
    words = {word: i for i, word in enumerate(dict.fromkeys(VOCABULARY))}
    made = Tokenizer(models.WordPiece(words, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    made.add_special_tokens(list(SPECIAL))
    return made


def headlines(n: int, n_tokens: int | None = None, seed: int = 0) -> list[str]:
    """Of `n_tokens` each, special ones included; else as long as real ones: 19 on average."""
    draw = random.Random(seed)
    words = [word for word in VOCABULARY if len(word) > 1 and word[0] not in "[#"]
    found = []
    for _ in range(n):
        length = n_tokens or max(6, min(60, round(draw.lognormvariate(2.88, 0.35))))
        found.append(" ".join(draw.choices(words, k=length - 2)))
    return found


def onnx_folder(folder: Path, shape: Shape) -> Path:
    """A folder that `OnnxModel` loads."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(_Graph(shape).build())
    (folder / "tokenizer.json").write_text(tokenizer().to_str(), "utf-8")
    names = ("model.onnx", "tokenizer.json")
    files = {n: hashlib.sha256((folder / n).read_bytes()).hexdigest() for n in names}
    manifest = {
        "name": "bench",
        "version": "1",
        "labels": LABELS,
        "max_tokens": POSITIONS,
        "files": files,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    return folder


def checkpoint(folder: Path, shape: Shape) -> Path:
    """A checkpoint that `Transformer` loads."""
    import torch
    import transformers

    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=shape.width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=shape.inner,
        max_position_embeddings=POSITIONS,
        initializer_range=0.1,
        id2label=dict(enumerate(LABELS)),
    )
    transformers.BertForSequenceClassification(config).save_pretrained(folder)
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer(), pad_token="[PAD]", unk_token="[UNK]"
    ).save_pretrained(folder)
    return folder


class _Graph:
    """Post-norm encoder, mean over tokens, linear head; products in int8, a scale a column."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self.draw = np.random.default_rng(0)
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def build(self) -> bytes:
        s = self.shape
        table = self.floats("table", len(VOCABULARY), s.width)
        places = self.floats("places", POSITIONS, s.width)
        length = self.op("Gather", self.op("Shape", "input_ids"), self.const("one", 1))
        steps = self.op("Range", self.const("zero", 0), length, "one")
        seen = self.op("Gather", table, "input_ids")
        x = self.norm(self.op("Add", seen, self.op("Gather", places, steps)))
        for _ in range(s.layers):
            x = self.layer(x)
        mean = self.op("ReduceMean", x, axes=[1], keepdims=0)
        self.op("Identity", self.linear(mean, s.width, 3), into="logits")
        ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["n", "t"])
        out = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 3])
        graph = helper.make_graph(self.nodes, "bert", [ids], [out], self.constants)
        opset = [helper.make_opsetid("", 17)]
        made: bytes = helper.make_model(
            graph, opset_imports=opset, ir_version=8
        ).SerializeToString()
        return made

    def layer(self, x: str) -> str:
        s = self.shape
        split = self.const("split", [0, 0, s.heads, s.width // s.heads])
        query, key, value = (
            self.op(
                "Transpose", self.op("Reshape", self.linear(x, s.width, s.width), split), perm=p
            )
            for p in ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3])
        )
        root = self.floats("root", value=np.float32((s.width / s.heads) ** 0.5))
        weights = self.op("Softmax", self.op("Div", self.op("MatMul", query, key), root), axis=-1)
        read = self.op("Transpose", self.op("MatMul", weights, value), perm=[0, 2, 1, 3])
        joined = self.op("Reshape", read, self.const("joined", [0, 0, s.width]))
        x = self.norm(self.op("Add", x, self.linear(joined, s.width, s.width)))
        inner = self.gelu(self.linear(x, s.width, s.inner))
        return self.norm(self.op("Add", x, self.linear(inner, s.inner, s.width)))

    def linear(self, x: str, rows: int, columns: int) -> str:
        weights = self.draw.integers(-127, 128, size=(rows, columns)).astype(np.int8)
        scale = np.full(columns, 1 / (73 * rows**0.5), np.float32)  # 73: the spread of the weights
        q, q_scale, q_zero = self.quantised(x)
        zeros = np.zeros(columns, np.int8)
        given = (q, self.keep("w", weights), q_zero, self.keep("w_zero", zeros))
        product = self.op("Cast", self.op("MatMulInteger", *given), to=TensorProto.FLOAT)
        both = self.op("Mul", q_scale, self.floats("w_scale", value=scale))
        bias = self.floats("bias", columns)
        return self.op("Add", self.op("Mul", product, both), bias)

    def quantised(self, x: str) -> tuple[str, str, str]:
        names = (f"{x}_q", f"{x}_scale", f"{x}_zero")
        if not any(names[0] in node.output for node in self.nodes):
            self.nodes.append(helper.make_node("DynamicQuantizeLinear", [x], list(names)))
        return names

    def gelu(self, x: str) -> str:
        root = self.floats("root_2", value=np.float32(2**0.5))
        raised = self.op("Add", self.op("Erf", self.op("Div", x, root)), self.half(1.0))
        return self.op("Mul", self.op("Mul", x, raised), self.half(0.5))

    def half(self, value: float) -> str:
        return self.floats("half", value=np.float32(value))

    def norm(self, x: str) -> str:
        ones = self.floats("ones", value=np.ones(self.shape.width, np.float32))
        zeros = self.floats("zeros", value=np.zeros(self.shape.width, np.float32))
        return self.op("LayerNormalization", x, ones, zeros, epsilon=1e-12)

    def op(self, kind: str, *given: str, into: str | None = None, **attributes: Any) -> str:
        name = into or f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(given), [name], **attributes))
        return name

    def floats(self, name: str, *size: int, value: Any = None) -> str:
        drawn = self.draw.normal(size=size) * 0.05 if value is None else value
        return self.keep(name, np.asarray(drawn, np.float32))

    def const(self, name: str, value: Any) -> str:
        return self.keep(name, np.asarray(value, np.int64), exact=np.ndim(value) == 0)

    def keep(self, name: str, value: Any, *, exact: bool = False) -> str:
        named = name if exact else f"{name}_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(value, named))
        return named
