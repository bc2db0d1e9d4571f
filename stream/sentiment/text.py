"""Text as models see it, and its identity."""

from __future__ import annotations

import hashlib
import html
import re
import unicodedata

MAX_CHARS = 2_000  # of headline and body together that a model sees
_LINK = re.compile(r"https?://\S*|www\.\S+")
_SPACES = re.compile(r"\s+")
_REPOST = re.compile(r"^(rt\s+@\w+:?\s*)+", re.IGNORECASE)
_NOT_WORD = re.compile(r"[^\w$%]+")


def clean(headline: str, body: str = "") -> str:
    """One line: entities resolved, links dropped, control characters and spaces collapsed.

    Examples
    --------
    >>> clean("AT&amp;T  wins\\x00 contract", "See https://example.org/a for more")
    'AT&T wins contract. See for more'
    """
    text = f"{headline}. {body[: 4 * MAX_CHARS]}" if body else headline
    return one_line(_LINK.sub(" ", html.unescape(text)))[:MAX_CHARS].rstrip()


def one_line(text: str) -> str:
    """The text with control characters and runs of spaces turned into single spaces."""
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " for c in text)
    return _SPACES.sub(" ", text).strip()


def text_hash(text: str) -> str:
    """Sixteen hex digits, equal for texts that differ in case, punctuation or a repost prefix.

    A text without words (emoji only) is hashed as it is.

    Examples
    --------
    >>> text_hash("RT @wire: Apple beats estimates!") == text_hash("apple beats estimates")
    True
    """
    plain = unicodedata.normalize("NFKC", text).casefold()
    words = " ".join(_NOT_WORD.sub(" ", _REPOST.sub("", plain)).split())
    return hashlib.blake2b((words or text).encode(), digest_size=8).hexdigest()
