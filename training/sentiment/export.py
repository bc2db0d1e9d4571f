"""A trained network as an int8 ONNX folder, if it still says what the network said."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic

from models.sentiment.manifest import MODEL, TOKENIZER
from training.errors import TrainingRefused
from training.sentiment.classifier import MAX_TOKENS, Classifier
from training.sentiment.evaluate import macro_f1
from training.sentiment.labelled import Labelled

_OPSET = 17
MIN_AGREEMENT = 0.99
MAX_F1_LOSS = 0.005
MIN_COSINE = 0.98


class Parity(NamedTuple):
    """What int8 changed on rows the network did not learn from."""

    agreement: float  # share of texts with the same label
    f1_loss: float
    cosine: float  # mean of the logits' cosines

    @property
    def holds(self) -> bool:
        return (
            self.agreement >= MIN_AGREEMENT
            and self.f1_loss <= MAX_F1_LOSS
            and self.cosine >= MIN_COSINE
        )


def export(
    model: Classifier,
    tokenizer: Any,
    rows: Sequence[Labelled],
    folder: Path,
    *,
    exact: bool = False,
) -> tuple[Parity, dict[str, str]]:
    """Write model.onnx and tokenizer.json to `folder`; what it changed, and each file's sha256.

    exact : keep all 32 bits of each weight: four times as large, for teachers.

    Raises
    ------
    TrainingRefused
        int8 changes too much: more than `MIN_AGREEMENT` and its neighbours allow. Nothing is
        written then.
    """
    with tempfile.TemporaryDirectory() as made:
        whole, small = Path(made) / "whole.onnx", Path(made) / "small.onnx"
        example = tokenizer("profit rises", return_tensors="pt")
        torch.onnx.export(
            model.eval(),
            (example["input_ids"], example["attention_mask"]),
            str(whole),
            input_names=["input_ids", "attention_mask"],
            output_names=["logits"],
            dynamic_axes={name: {0: "n", 1: "tokens"} for name in ("input_ids", "attention_mask")},
            opset_version=_OPSET,
            dynamo=False,
        )
        if not exact:
            quantize_dynamic(
                whole,
                small,
                per_channel=True,
                weight_type=QuantType.QInt8,
                # Eight bits saturate on processors without VNNI: scores would hang on the machine.
                reduce_range=True,
                extra_options={"MatMulConstBOnly": True},
            )
        made_file = whole if exact else small
        found = _parity(model, tokenizer, made_file, rows)
        if not found.holds:
            raise TrainingRefused(
                f"int8: expected agreement >= {MIN_AGREEMENT}, macro F1 loss <= {MAX_F1_LOSS}, "
                f"cosine >= {MIN_COSINE}, got {found}"
            )
        (folder / MODEL).write_bytes(made_file.read_bytes())
    tokenizer.backend_tokenizer.save(str(folder / TOKENIZER))
    files = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in (MODEL, TOKENIZER)
    }
    return found, files


def _run_file(path: Path, tokenizer: Any, rows: Sequence[Labelled]) -> np.ndarray:
    """(n, 3) logits of an exported file, each text alone: int8 scales depend on batch-mates."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = []
    for row in rows:
        told = tokenizer(row.text, truncation=True, max_length=MAX_TOKENS, return_tensors="np")
        given = {name: told[name].astype("int64") for name in ("input_ids", "attention_mask")}
        (logits,) = session.run(["logits"], given)
        found.append(logits[0])
    return np.array(found)


def _parity(model: Classifier, tokenizer: Any, path: Path, rows: Sequence[Labelled]) -> Parity:
    a = model.logits([row.text for row in rows], tokenizer)
    b = _run_file(path, tokenizer, rows)
    wanted = np.array([row.label for row in rows])
    cosine = (a * b).sum(-1) / (np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1))
    return Parity(
        agreement=float((a.argmax(-1) == b.argmax(-1)).mean()),
        f1_loss=macro_f1(wanted, a.argmax(-1)) - macro_f1(wanted, b.argmax(-1)),
        cosine=float(cosine.mean()),
    )
