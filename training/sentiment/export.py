"""A trained network as an int8 ONNX folder, if it still says what the network said."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from models.sentiment.manifest import MODEL, TOKENIZER
from training.errors import TrainingRefused
from training.sentiment.classifier import Classifier
from training.sentiment.evaluate import macro_f1
from training.sentiment.files import sha256
from training.sentiment.labelled import Labelled

_OPSET = 17
MIN_AGREEMENT = 0.99
MAX_F1_LOSS = 0.005
MIN_COSINE = 0.98
_TABLE = 1 << 16  # numbers
_KEPT = (0, 2, None)  # of the narrowing layers: their inputs have the widest ranges, the first most


class Parity(NamedTuple):
    """What int8 changed on rows the network did not learn from."""

    agreement: float  # share of texts with the same label
    f1_loss: float
    cosine: float  # mean of the logits' cosines

    @property
    def holds(self) -> bool:
        return self.agreement >= MIN_AGREEMENT and self.f1_loss <= MAX_F1_LOSS and self.same_odds

    @property
    def same_odds(self) -> bool:
        """All that odds ask for: between near ties the likeliest class may turn."""
        return self.cosine >= MIN_COSINE


class Exported(NamedTuple):
    """Files by their sha256, and (n, 3) logits of the rows: the network's and the file's own."""

    parity: Parity
    files: dict[str, str]
    network: np.ndarray
    shipped: np.ndarray


def export(
    model: Classifier,
    tokenizer: Any,
    rows: Sequence[Labelled],
    folder: Path,
    *,
    exact: bool = False,
    max_tokens: int = 64,
    odds: bool = False,
) -> Exported:
    """Write model.onnx and tokenizer.json to `folder`, if they say what the network said.

    exact : keep all 32 bits of each weight: four times as large, for teachers.
    max_tokens, odds : as in the recipe.

    Raises
    ------
    TrainingRefused
        The file says something else: more than `MIN_AGREEMENT` and its neighbours allow. Nothing
        is written then.
    """
    with tempfile.TemporaryDirectory() as made:
        whole, small = Path(made) / "whole.onnx", Path(made) / "small.onnx"
        example = tokenizer("profit rises", return_tensors="pt")
        with warnings.catch_warnings():  # the newer exporter wants a package more
            warnings.simplefilter("ignore")
            torch.onnx.export(
                model.eval(),
                (example["input_ids"], example["attention_mask"]),
                str(whole),
                input_names=["input_ids", "attention_mask"],
                output_names=["logits"],
                dynamic_axes={
                    name: {0: "n", 1: "tokens"} for name in ("input_ids", "attention_mask")
                },
                opset_version=_OPSET,
                dynamo=False,
            )
        network = model.logits([row.text for row in rows], tokenizer, max_tokens)
        for made_file in [whole] if exact else _quantised(whole, small):
            shipped = run_file(made_file, tokenizer, rows, max_tokens)
            found = parity(network, shipped, [row.label for row in rows])
            if found.holds or (odds and found.same_odds):
                break
        else:
            raise TrainingRefused(
                f"{'32 bits' if exact else 'int8'}: expected agreement >= {MIN_AGREEMENT}, macro "
                f"F1 loss <= {MAX_F1_LOSS}, cosine >= {MIN_COSINE}, got {found.agreement:.4f}, "
                f"{found.f1_loss:.4f}, {found.cosine:.4f}"
            )
        (folder / MODEL).write_bytes(made_file.read_bytes())
    tokenizer.backend_tokenizer.save(str(folder / TOKENIZER))
    files = {name: sha256(folder / name) for name in (MODEL, TOKENIZER)}
    return Exported(found, files, network, shipped)


def _quantised(whole: Path, small: Path) -> Iterator[Path]:
    """int8, then with as many layers in 32 bits as it takes."""
    network = onnx.load(whole)
    graph = network.graph
    _rows_in_int8(graph)
    tables = small.with_name("tables.onnx")
    onnx.save(network, tables)
    shapes = {each.name: tuple(each.dims) for each in graph.initializer}
    narrowing = [
        node.name
        for node in graph.node
        if node.op_type == "MatMul" and node.input[1] in shapes
        if shapes[node.input[1]][0] > shapes[node.input[1]][1]
    ]
    for kept in _KEPT:
        quantize_dynamic(
            tables,
            small,
            op_types_to_quantize=["MatMul", "Gemm"],
            per_channel=True,
            weight_type=QuantType.QInt8,
            # Eight bits saturate on processors without VNNI: scores would hang on the machine.
            reduce_range=True,
            nodes_to_exclude=narrowing[:kept],
            extra_options={"MatMulConstBOnly": True},
        )
        yield small


def _rows_in_int8(graph: onnx.GraphProto) -> None:
    """Large embedding tables with a scale for each row: one for all would blur the rare words."""
    floats = {each.name: each for each in graph.initializer}
    for at, node in reversed(list(enumerate(graph.node))):
        if node.op_type != "Gather" or node.input[0] not in floats:
            continue
        name, ids = node.input
        table = numpy_helper.to_array(floats[name])
        if table.ndim != 2 or table.size < _TABLE:
            continue
        scale = np.maximum(np.abs(table).max(axis=1, keepdims=True) / 127, 1e-12)
        rows = np.rint(table / scale).astype(np.int8)
        graph.initializer.remove(floats.pop(name))
        graph.initializer.append(numpy_helper.from_array(rows, f"{name}.rows"))
        graph.initializer.append(numpy_helper.from_array(scale.astype("f4"), f"{name}.scale"))
        made = [
            helper.make_node("Gather", [f"{name}.rows", ids], [f"{name}.taken"]),
            helper.make_node("Cast", [f"{name}.taken"], [f"{name}.float"], to=1),
            helper.make_node("Gather", [f"{name}.scale", ids], [f"{name}.scales"]),
            helper.make_node("Mul", [f"{name}.float", f"{name}.scales"], list(node.output)),
        ]
        del graph.node[at]
        for each in reversed(made):
            graph.node.insert(at, each)


def parity(network: np.ndarray, shipped: np.ndarray, labels: Sequence[int]) -> Parity:
    """What the file's (n, 3) logits are beside the network's.

    Examples
    --------
    >>> one = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 2.0]])
    >>> parity(one, 3 * one, [0, 2])
    Parity(agreement=1.0, f1_loss=0.0, cosine=1.0)
    """
    wanted, a, b = np.array(labels), network.argmax(-1), shipped.argmax(-1)
    norms = np.linalg.norm(network, axis=-1) * np.linalg.norm(shipped, axis=-1)
    return Parity(
        agreement=float((a == b).mean()),
        f1_loss=macro_f1(wanted, a) - macro_f1(wanted, b),
        cosine=float(((network * shipped).sum(-1) / norms).mean()),
    )


def run_file(
    path: Path, tokenizer: Any, rows: Sequence[Labelled], max_tokens: int = 64
) -> np.ndarray:
    """(n, 3) logits of an exported file, each text alone: int8 scales depend on batch-mates."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = []
    for row in rows:
        told = tokenizer(row.text, truncation=True, max_length=max_tokens, return_tensors="np")
        given = {name: told[name].astype("int64") for name in ("input_ids", "attention_mask")}
        (logits,) = session.run(["logits"], given)
        found.append(logits[0])
    return np.array(found)
