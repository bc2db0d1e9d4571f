"""Text as models see it, and its identity."""

from __future__ import annotations

import hashlib
import re
import unicodedata

from stream.sentiment.markup import plain

MAX_CHARS = 2_000  # of headline and body together that a model sees at once
BODY_CHARS = 20_000  # of a body without its markup that are read
_RAW_CHARS = 100_000  # of a body with its markup
_LATIN_WRITTEN = """
    af ca cs cy da de en es et eu fi fr ga gl hr hu id is it lt lv ms mt nb nl nn no pl pt ro sk sl
    sq sv sw tl tr vi
"""
LATIN_WRITTEN = frozenset(_LATIN_WRITTEN.split())  # languages whose texts are in Latin letters
_PARAGRAPH = re.compile(r"\n\s*\n")
_LINK = re.compile(r"https?://\S*|www\.\S+")
_SPACES = re.compile(r"\s+")
_REPOST = re.compile(r"^(rt\s+@\w+:?\s*)+", re.IGNORECASE)
_NOT_WORD = re.compile(r"[^\w$%]+")


def clean(headline: str, body: str = "") -> str:
    """One line: markup and links dropped, control characters and spaces collapsed.

    Examples
    --------
    >>> clean("AT&amp;T  wins\\x00 contract", "<p>See https://example.org/a for more</p>")
    'AT&T wins contract. See for more'
    """
    return joined(" ".join(paragraphs(headline)), paragraphs(body))


def joined(headline: str, body: list[str]) -> str:
    """Headline and paragraphs, cleaned before, as one text of at most MAX_CHARS."""
    return ". ".join(filter(None, (headline, " ".join(body))))[:MAX_CHARS].rstrip()


def paragraphs(text: str) -> list[str]:
    """Cleaned paragraphs, BODY_CHARS in all at most."""
    found, left = [], BODY_CHARS
    for raw in _PARAGRAPH.split(plain(text[:_RAW_CHARS])):
        line = one_line(_LINK.sub(" ", raw))[:left].rstrip()
        if line:
            found.append(line)
            left -= len(line)
    return found


def has_words(text: str) -> bool:
    """Whether there is a letter in it: emoji and numbers alone say nothing that a model knows."""
    return any(map(str.isalpha, text))


def is_mostly_latin(text: str) -> bool:
    """Whether at least half of the letters are Latin ones: it is the script that is judged.

    Examples
    --------
    >>> is_mostly_latin("Société Générale"), is_mostly_latin("苹果公司 AAPL 股价大涨")
    (True, False)
    """
    if text.isascii():
        return True
    letters = [c for c in unicodedata.normalize("NFKC", text) if c.isalpha()]
    n_latin = sum(c < "\u0250" or "\u1e00" <= c < "\u1f00" for c in letters)
    return 2 * n_latin >= len(letters)


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
