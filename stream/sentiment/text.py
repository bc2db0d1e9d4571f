"""Text as models see it, and its identity."""

from __future__ import annotations

import hashlib
import html
import re

MAX_CHARS = 2_000  # of headline and body together that a model sees
_LINK = re.compile(r"https?://\S*|www\.\S+")
_SPACES = re.compile(r"\s+")
_REPOST = re.compile(r"^(rt\s+@\w+:?\s*)+", re.IGNORECASE)
_NOT_WORD = re.compile(r"[^\w$%]+")


def clean(headline: str, body: str = "") -> str:
    """One line: entities resolved, links dropped, control characters and spaces collapsed."""
    text = html.unescape(f"{headline}. {body}" if body else headline)[: 4 * MAX_CHARS]
    text = "".join(c if c.isprintable() else " " for c in _LINK.sub(" ", text))
    return _SPACES.sub(" ", text).strip()[:MAX_CHARS]


def text_hash(text: str) -> str:
    """Sixteen hex digits, equal for texts that differ in case, punctuation or a repost prefix."""
    words = _NOT_WORD.sub(" ", _REPOST.sub("", text).casefold()).split()
    return hashlib.blake2b(" ".join(words).encode(), digest_size=8).hexdigest()
