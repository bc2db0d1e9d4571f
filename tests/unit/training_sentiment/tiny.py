"""A small encoder and a small task: what fine-tuning can learn in seconds."""

from __future__ import annotations

import csv
import random
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertModel,
    DistilBertConfig,
    DistilBertModel,
    PreTrainedTokenizerFast,
)

from tests.unit.training_sentiment.nouns import NOUNS

_TELLING = (["slumps", "fails", "loses"], ["meets", "says", "plans"], ["soars", "wins", "gains"])
_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
_NAMES = ("negative", "neutral", "positive")


def make_encoder(
    folder: Path, *, broken: bool = False, distilled: bool = False, positions: int = 64
) -> Path:
    """A BERT (or DistilBERT) of two layers, untrained; a broken one holds no numbers."""
    torch.manual_seed(5)
    words = [*_SPECIAL, *NOUNS, *(word for kind in _TELLING for word in kind)]
    vocabulary = {word: i for i, word in enumerate(words)}
    size: dict[str, Any] = {"vocab_size": len(words), "max_position_embeddings": positions}
    if distilled:
        encoder = DistilBertModel(
            DistilBertConfig(dim=32, n_layers=2, n_heads=2, hidden_dim=64, **size)
        )
    else:
        config = BertConfig(
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            **size,
        )
        encoder = BertModel(config, add_pooling_layer=False)
    if broken:
        torch.nn.init.constant_(encoder.embeddings.word_embeddings.weight, float("nan"))
    encoder.save_pretrained(folder)
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_input_names=["input_ids", "attention_mask"],
    ).save_pretrained(folder)
    return folder


def write_texts(path: Path, n: int, seed: int = 1) -> Path:
    """CSV of sentences whose one telling word says the label."""
    rng = random.Random(seed)
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("text", "label"))
        for i in range(n):
            words = rng.sample(NOUNS, 9)
            words.insert(rng.randrange(9), rng.choice(_TELLING[i % 3]))
            rows.writerow((" ".join(words), _NAMES[i % 3]))
    return path
