"""How a sentiment model is fine-tuned."""

from __future__ import annotations

from typing import NamedTuple


class Recipe(NamedTuple):
    """How to train.

    epochs : at most; the epoch with the best macro F1 on the rows to choose by is kept.
    rate : learning rate of the encoder; with `lora` of its adapters.
    lora : rank of adapters in place of all weights; 0: all weights.
    freeze : so many of the lowest layers keep their weights, and the embeddings with them.
    max_tokens : of one text, special tokens included.
    odds : what is wanted are true odds of what can hardly be known, as of returns: no class counts
        for more than it occurs, and the epoch with the least loss is kept.
    four_bit : adapters learn beside 4-bit weights: large encoders on a small GPU (QLoRA).
    """

    base: str = "minilm"
    seed: int = 0
    epochs: int = 4
    rate: float = 1e-4
    lora: int = 0
    freeze: int = 0
    patience: int = 2
    max_tokens: int = 64
    odds: bool = False
    four_bit: bool = False
