"""Any Hugging Face sequence classifier, by PyTorch: the extra `torch`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from models.sentiment.batches import WIDTHS, Batch, alone, bucket, plan
from models.sentiment.checkpoint import checkpoint_digest, checkpoint_folder, checkpoint_name
from models.sentiment.labels import label_order, probabilities
from models.sentiment.model import NEUTRAL, Device, Probabilities, SentimentModelError, one_line
from models.sentiment.tokens import Tokens

DEFAULT = "ProsusAI/finbert"
BUDGET = 4096  # tokens of one batch on CUDA
_MAX_TOKENS = 512


class Transformer:
    """Implements `SentimentModel`.

    A matrix product may add in another order when its shape is another one, so a padded batch of
    whatever waits would give a text other bits with other batch-mates. Here the shape that a text
    runs in hangs on its own length alone:

    - CPU, float32: every text by itself, unpadded, on one thread (set for the whole process).
      Alone, in any batch and in any order a text's probabilities are bit for bit the same.
    - CUDA, bfloat16 (float16 where the GPU has none): texts sorted by length into grids of a few
      widths, `budget` tokens each; rows that no text fills are empty. One shape runs one set of
      kernels and rows do not mix: what stands beside a text does not change it. In which row it
      stands does on some processors, in the last bits (measured with AMX: 1e-7); whether it does
      on a GPU the tests say where they find one. A lone text runs at once, and costs what a full
      grid costs.

    The bits do change with the device, its kind, the precision and torch's version; the precision
    is part of the version.

    Parameters
    ----------
    where : a folder, or NAME or NAME@REVISION of the Hub.
    cache : folder of downloaded checkpoints; with one, nothing is downloaded.
    grids : run in grids whatever the device is; default: on CUDA.

    Raises
    ------
    SentimentModelError
        No torch that loads, no such device or too little memory on it, no checkpoint, no
        safetensors, a tokenizer in Python only, not our three labels, or weights that the
        checkpoint lacks.
    """

    def __init__(
        self,
        where: str = DEFAULT,
        *,
        cache: Path | None = None,
        device: Device = "auto",
        grids: bool | None = None,
        budget: int = BUDGET,
    ) -> None:
        try:
            import torch
            import transformers
        except (ImportError, OSError, ValueError) as error:  # the last two: without its CUDA files
            raise SentimentModelError(
                f"torch:{where}: {one_line(error)}; pip install 'tapewire[torch]'"
            ) from None
        self._torch = torch
        self._device = _device(torch, device)
        on_gpu = self._device == "cuda"
        folder = checkpoint_folder(where, cache)
        if on_gpu:
            dtype = torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
        else:
            dtype = torch.float32
            torch.set_num_threads(1)
        transformers.utils.logging.disable_progress_bar()
        here: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        try:
            config = transformers.AutoConfig.from_pretrained(folder, **here)
            self._order = label_order([config.id2label[i] for i in range(config.num_labels)])
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **here)
            model, loaded = transformers.AutoModelForSequenceClassification.from_pretrained(
                folder,
                config=config,
                dtype=dtype,
                attn_implementation="sdpa",
                use_safetensors=True,
                output_loading_info=True,
                **here,
            )
        except Exception as error:  # of three libraries, without a base of their own
            raise SentimentModelError(f"torch:{where}: {one_line(error)}") from None
        if missing := sorted(loaded["missing_keys"]):
            raise SentimentModelError(
                f"torch:{where}: expected a trained classifier, found no weights for "
                f"{', '.join(missing[:5])}"
            )
        if not tokenizer.is_fast:
            raise SentimentModelError(
                f"torch:{where}: expected a tokenizer that tokenizer.json describes, got "
                f"{type(tokenizer).__name__}, which has none"
            )
        self._model = model.eval()
        self._pad = config.pad_token_id or 0
        longest = _max_tokens(config, tokenizer)
        self._tokens = Tokens(tokenizer.backend_tokenizer, longest)
        self._shape: Any = alone
        if on_gpu if grids is None else grids:
            self._shape = partial(bucket, budget=budget, longest=longest)
        try:
            self._model.to(self._device)
            if self._shape is not alone:
                self._warm(longest)
        except RuntimeError as error:  # memory that is not there is one
            raise SentimentModelError(f"torch:{where}: {self._device}: {one_line(error)}") from None
        self.name = checkpoint_name(where)
        self.version = f"{checkpoint_digest(folder)}.{str(dtype).removeprefix('torch.')}"

    def probabilities(self, texts: Sequence[str]) -> list[Probabilities]:
        """One result a text, in the order given.

        Raises SentimentModelError for logits that are no numbers.
        """
        ids = self._tokens.many(texts)
        batches = plan([len(each) for each in ids], self._shape)
        running = [self._run(ids, batch) for batch in batches]  # on CUDA nothing waits before this
        found = [NEUTRAL] * len(ids)
        for batch, logits in zip(batches, running, strict=True):
            for place, row in zip(batch.places, logits.float().tolist(), strict=False):
                found[place] = probabilities(row, self._order)
        return found

    def _warm(self, longest: int) -> None:
        for batch in plan([*(w for w in WIDTHS if w < longest), longest], self._shape):
            self._run([[self._pad] * batch.width], batch._replace(places=(0,)))

    def _run(self, ids: Sequence[Sequence[int]], batch: Batch) -> Any:
        torch = self._torch
        tokens = np.full((batch.rows, batch.width), self._pad, dtype=np.int64)
        mask = np.zeros_like(tokens)
        mask[:, 0] = 1  # a row that sees nothing would be NaN
        for row, place in enumerate(batch.places):
            tokens[row, : len(ids[place])] = ids[place]
            mask[row, : len(ids[place])] = 1
        with torch.inference_mode():
            return self._model(
                input_ids=torch.from_numpy(tokens).to(self._device),
                attention_mask=torch.from_numpy(mask).to(self._device),
            ).logits


def _device(torch: Any, asked: Device) -> str:
    there = torch.cuda.is_available()
    if asked == "cuda" and not there:
        raise SentimentModelError("device: expected cuda, found none; use cpu or auto")
    return "cuda" if there and asked != "cpu" else "cpu"


def _max_tokens(config: Any, tokenizer: Any) -> int:
    """Two fewer than the model has positions: RoBERTa's kind counts from two."""
    positions = getattr(config, "max_position_embeddings", None) or _MAX_TOKENS
    return int(min(tokenizer.model_max_length, positions - 2, _MAX_TOKENS))
