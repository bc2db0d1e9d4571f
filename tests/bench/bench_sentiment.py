"""Headlines a second of transformers: int8 ONNX on one core, PyTorch on what is there."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from models.sentiment.onnx import OnnxModel
from models.sentiment.tokens import Tokens
from tests.bench import bert

TOKENS = 32
BATCH = 16


def run(stack: dict[str, str]) -> dict[str, object]:
    """Speed hangs on shapes, not on weights: those are random."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        return {
            "minilm_int8": onnx_speed(folder / "minilm", bert.MINILM, 400),
            "bert_base_int8": onnx_speed(folder / "base", bert.BERT_BASE, 60),
            "torch": torch_speed(folder),
        }


def onnx_speed(folder: Path, shape: bert.Shape, n: int) -> dict[str, object]:
    """One core, text by text, tokenizer included; 32 tokens each, then of real lengths.

    Rates are per second of CPU time, which neighbours on the machine do not take; latencies are
    what the clock said.
    """
    model = OnnxModel(bert.onnx_folder(folder, shape))
    fixed, real = bert.headlines(n, TOKENS), bert.headlines(n)
    model.probabilities(fixed[:10])
    busy_s = cpu_seconds(model.probabilities, fixed)
    took = np.array([seconds(model.probabilities, [text]) for text in fixed])
    tokens = Tokens(bert.tokenizer(), bert.POSITIONS)
    split_s = cpu_seconds(lambda texts: [tokens.one(t) for t in texts], fixed)
    return {
        "MB": round((folder / "model.onnx").stat().st_size / 1e6, 1),
        "per_s_32_tokens": round(n / busy_s, 1),
        "ms_p50_p95_p99": [round(float(q), 2) for q in np.quantile(took, [0.5, 0.95, 0.99]) * 1e3],
        "per_s_real_lengths": round(n / cpu_seconds(model.probabilities, real), 1),
        "tokenizer_share": round(split_s / busy_s, 4),
    }


def torch_speed(folder: Path) -> dict[str, object]:
    """Padded batches in order of arrival against sorted ones, against what the model does."""
    try:
        import torch
    except ImportError:
        return {"skipped": "needs torch: pip install -c constraints.txt -e '.[torch]'"}
    if torch.cuda.is_available():
        return cuda_speed(bert.checkpoint(folder / "torch", bert.BERT_BASE))
    from models.sentiment.transformer import Transformer

    where = str(bert.checkpoint(folder / "torch", bert.MINILM))
    model = Transformer(where, device="cpu")
    texts = bert.headlines(320)
    ids = Tokens(bert.tokenizer(), bert.POSITIONS).many(texts)
    run_padded(model, ids[:BATCH])
    arrival_s = cpu_seconds(lambda given: run_padded(model, given), ids)
    sorted_s = cpu_seconds(lambda given: run_padded(model, sorted(given, key=len)), ids)
    alone_s = cpu_seconds(model.probabilities, texts)
    return {
        "device": "cpu",
        "shape": "MiniLM float32, 1 thread",
        "arrival_order_per_s": round(len(texts) / arrival_s, 1),
        "sorted_per_s": round(len(texts) / sorted_s, 1),
        "sorting_gains": round(arrival_s / sorted_s, 2),
        "text_by_text_per_s": round(len(texts) / alone_s, 1),
    }


def cuda_speed(where: Path) -> dict[str, object]:
    """BERT-base's shape in half precision: from token ids, from text, and one text alone."""
    import torch

    from models.sentiment.batches import plan
    from models.sentiment.transformer import Transformer

    model = Transformer(str(where), device="cuda")
    texts = bert.headlines(40_000, TOKENS)
    mixed = bert.headlines(3_000, seed=1)
    ids = Tokens(bert.tokenizer(), bert.POSITIONS).many(texts)
    batches = plan([len(each) for each in ids], model._shape)

    def from_ids(given: Sequence[list[int]]) -> None:
        for batch in batches:
            model._run(given, batch)
        torch.cuda.synchronize()

    for _ in range(3):
        model.probabilities(mixed)
    from_ids(ids)
    ids_s = seconds(from_ids, ids)
    texts_s = seconds(model.probabilities, texts)
    lone = [seconds(model.probabilities, [text]) for text in texts[:300]]
    together = model.probabilities(mixed)
    alone = [model.probabilities([text])[0] for text in mixed[:300]]
    return {
        "device": torch.cuda.get_device_name(),
        "shape": f"BERT-base {model.version.partition('.')[2]}",
        "from_token_ids_per_s": round(len(texts) / ids_s),
        "from_text_per_s": round(len(texts) / texts_s),
        "lone_text_ms_p50": round(float(np.median(lone)) * 1e3, 2),
        "bit_equal_alone_and_in_batch": alone == together[:300],
        "bit_equal_reversed": model.probabilities(mixed[::-1]) == together[::-1],
    }


def run_padded(model: Any, ids: Sequence[list[int]]) -> None:
    """Batches of 16 in the order given, each padded to its longest."""
    for first in range(0, len(ids), BATCH):
        some = ids[first : first + BATCH]
        width = max(map(len, some))
        tokens = np.zeros((len(some), width), np.int64)
        mask = np.zeros_like(tokens)
        for row, each in enumerate(some):
            tokens[row, : len(each)], mask[row, : len(each)] = each, 1
        with model._torch.inference_mode():
            model._model(
                input_ids=model._torch.from_numpy(tokens),
                attention_mask=model._torch.from_numpy(mask),
            ).logits.tolist()


def cpu_seconds(call: Callable[[Any], object], given: Any) -> float:
    """CPU time of this process, the better of two runs."""
    took = []
    for _ in range(2):
        began = time.process_time()
        call(given)
        took.append(time.process_time() - began)
    return min(took)


def seconds(call: Callable[[Any], object], given: Any) -> float:
    began = time.perf_counter()
    call(given)
    return time.perf_counter() - began
