"""Texts to token ids."""

from __future__ import annotations

from collections.abc import Sequence

from tokenizers import Encoding, Tokenizer

from models.sentiment.model import MAX_CHARS


class Tokens:
    """A tokenizer that cuts at `max_tokens`, special tokens included, and never pads.

    Set up once and never changed, so several threads may use it.
    """

    def __init__(self, tokenizer: Tokenizer, max_tokens: int) -> None:
        tokenizer.no_padding()
        tokenizer.enable_truncation(max_tokens)
        unknown = getattr(tokenizer.model, "unk_token", None)
        self._unknown = None if unknown is None else tokenizer.token_to_id(unknown)
        self._tokenizer = tokenizer

    def one(self, text: str) -> list[int]:
        """The text's ids; none when it has no token that the model knows."""
        return self._ids(self._tokenizer.encode(_readable(text)))

    def many(self, texts: Sequence[str]) -> list[list[int]]:
        """`one` of each, on all cores."""
        found = self._tokenizer.encode_batch([_readable(text) for text in texts])
        return [self._ids(encoding) for encoding in found]

    def _ids(self, encoding: Encoding) -> list[int]:
        ids: list[int] = encoding.ids
        for token, special in zip(ids, encoding.special_tokens_mask, strict=True):
            if not special and token != self._unknown:
                return ids
        return []


def _readable(text: str) -> str:
    """Cut, and without the halves of surrogate pairs, which are no UTF-8."""
    return text[:MAX_CHARS].encode("utf-8", "ignore").decode("utf-8")
