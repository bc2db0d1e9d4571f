"""A sequence classifier as ONNX, on one core of a CPU: onnxruntime and tokenizers, no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

from models.sentiment.labels import label_order, probabilities
from models.sentiment.manifest import (
    MODEL,
    TOKENIZER,
    content_version,
    read_file,
    read_manifest,
)
from models.sentiment.model import NEUTRAL, Probabilities, SentimentModelError, one_line
from models.sentiment.tokens import Tokens

_INPUTS = {"input_ids", "attention_mask", "token_type_ids"}


class OnnxModel:
    """Implements `SentimentModel`.

    Texts run one by one and unpadded. Dynamic int8 takes a scale over the whole batch, so with
    batch-mates a text's probabilities would move (by 0.013 on average, by up to 0.39 on MiniLM);
    alone they are a function of the text, and on one core batches would gain little: MiniLM's
    layers are small enough for the cache.

    Parameters
    ----------
    folder : holds manifest.json, model.onnx and tokenizer.json.

    Raises
    ------
    SentimentModelError
        A file is missing, altered or unreadable, the labels are not our three, or the model does
        not run on as many tokens as the manifest allows.
    """

    def __init__(self, folder: Path) -> None:
        manifest = read_manifest(folder)
        self.name = manifest.name
        self.version = content_version(manifest)
        self.reference = manifest.reference
        self.template = manifest.template
        self.doubt = manifest.doubt
        self._order = label_order(manifest.labels)
        self._temperature = manifest.temperature
        self._offsets = manifest.offsets
        tokenizer = read_file(folder, manifest, TOKENIZER)
        graph = read_file(folder, manifest, MODEL)
        try:
            self._tokens = Tokens(Tokenizer.from_buffer(tokenizer), manifest.max_tokens)
            self._session = onnxruntime.InferenceSession(
                graph, _one_thread(), providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # both libraries raise bare ones
            raise SentimentModelError(
                f"{folder}: unreadable model or tokenizer: {one_line(error)}"
            ) from None
        self._inputs = [each.name for each in self._session.get_inputs()]
        if unknown := set(self._inputs) - _INPUTS:
            raise SentimentModelError(
                f"{folder / MODEL}: expected inputs among {', '.join(sorted(_INPUTS))}, "
                f"got {', '.join(sorted(unknown))}"
            )
        try:
            self._score([0] * manifest.max_tokens)
        except Exception as error:
            raise SentimentModelError(
                f"{folder / MODEL}: expected to score {manifest.max_tokens} tokens, "
                f"got {one_line(error)}"
            ) from None

    def probabilities(self, texts: Sequence[str]) -> list[Probabilities]:
        """One result a text. Raises SentimentModelError for logits that are no numbers."""
        return [self._one(text) for text in texts]

    def _one(self, text: str) -> Probabilities:
        ids = self._tokens.one(text)
        return self._score(ids) if ids else NEUTRAL

    def _score(self, ids: Sequence[int]) -> Probabilities:
        row = np.array([ids], dtype=np.int64)
        given = {
            "input_ids": row,
            "attention_mask": np.ones_like(row),
            "token_type_ids": np.zeros_like(row),
        }
        logits = self._session.run(None, {name: given[name] for name in self._inputs})[0]
        return probabilities(logits[0].tolist(), self._order, self._temperature, self._offsets)


def _one_thread() -> onnxruntime.SessionOptions:
    """No second thread and no spinning: on shared cores both lose."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    return options
