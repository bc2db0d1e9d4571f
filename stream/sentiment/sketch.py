"""A text's sketch, by which `score` tells a re-print from news. Pure.

Its words part holds content words and pairs of neighbours inside a clause, its facts part numbers
and the words that turn a story round (beats, misses), two bits each. `stream.features.stories`
reads off how much of both an earlier text tells: a cut, tagged or reordered copy adds nothing,
while another company, number or direction does.
"""

from __future__ import annotations

import hashlib
import html
import re
import unicodedata
from collections.abc import Iterable
from itertools import pairwise

from stream.events import SKETCH_FACTS, SKETCH_WORDS
from stream.sentiment.sketch_words import (
    FACT_WORDS,
    SOURCES,
    SPELLED_NUMBERS_AND_MONTHS,
    WORDS_TO_LEAVE_OUT,
)

LEAD_CHARS = 1_000  # a story is told in its first lines: of a long body they are enough
LEAD_WORDS = 80  # and the clause that reaches it
_KIND = b"tapewire-sketch1"  # other bits than any other use of the hash
_SOURCES = "|".join(SOURCES)
_LINK = re.compile(r"https?://\S*|www\.\S+|\b(?:t\.co|bit\.ly|ow\.ly)/\S+")
_OPENING = re.compile(
    r"^\W*(?:rt\s+@\w+:?\s*|"
    r"(?:breaking(?: news)?|exclusive|just in|alert|urgent|corrected|correction|update\s*\d*)"
    r"\s*[-:|–—]+\s*|"
    rf"\(?\s*(?:{_SOURCES})\s*\)?\s*[-:|–—]+\s*)+"
)
_CLOSING = re.compile(
    rf"(?:(?:[-|–—(\[]|\b(?:via|by|source:?))\s*@?(?:{_SOURCES})\s*[)\]]?|"
    r"\b(?:via|h/t)\s+@\w+|(?<!\w)[#@]\w+)[\s.!]*$"
)
_CLOSING_CHARS = 60
_SCALES = {"k": "k", "m": "m", "b": "b", "t": "t", "thousand": "k", "million": "m", "mln": "m",
           "mn": "m", "mm": "m", "billion": "b", "bln": "b", "bn": "b", "trillion": "t",
           "trn": "t", "tn": "t"}  # fmt: skip
_AMOUNT = re.compile(rf"(?<=\d)\s?({'|'.join(_SCALES)})\b")
_CLAUSE = re.compile(r"""(?<!\d)\.|\.(?!\d)|[;:!?|–—()\[\]{}"“”…/]|\s-+(?=\s)|,(?!\d{3})|--+""")
_ACRONYM = re.compile(r"\b(?:[^\W\d_]\.){2,}")
_WORD = re.compile(r"(?<!\w)-?[$€£]?\d+(?:[.,]\d+)*[a-z]*|\$?[^\W_]+(?:[&'’.][^\W_]+)*")
_STOP = frozenset(WORDS_TO_LEAVE_OUT.split())
_FACTS = frozenset(FACT_WORDS.split())
_SPELLED = dict(pair.split("=") for pair in SPELLED_NUMBERS_AND_MONTHS.split())


def sketch(text: str) -> bytes:
    """128 bytes: the bits of the words, then those of the facts; empty for a text of nothing.

    Examples
    --------
    >>> sketch("Apple beats estimates, cuts 1,200 jobs") == sketch(
    ...     "RT @wire: APPLE CUTS 1200 JOBS; BEATS ESTIMATES - Reuters"
    ... )
    False
    >>> sketch("Apple beats estimates") == sketch("UPDATE 1-Apple beats estimates! (Reuters)")
    True
    """
    words, pairs = _shingles(text)
    if not words:
        words = text.split()
    if not words:
        return b""
    facts = [word for word in words if word in _FACTS or any(map(str.isdigit, word))]
    twice = [f"{fact} {i}" for fact in facts for i in (1, 2)]  # one bit alone is often set already
    return _bits(words + pairs, SKETCH_WORDS) + _bits(twice, SKETCH_FACTS)


def _bits(shingles: Iterable[str], n_bytes: int) -> bytes:
    bits = 0
    for shingle in shingles:
        digest = hashlib.blake2b(shingle.encode(), digest_size=4, person=_KIND).digest()
        bits |= 1 << (int.from_bytes(digest, "little") % (8 * n_bytes))
    return bits.to_bytes(n_bytes, "little")


def _shingles(text: str) -> tuple[list[str], list[str]]:
    """Content words of the first clauses, and the pairs of neighbours inside a clause."""
    words: list[str] = []
    pairs: list[str] = []
    for clause in _clauses(text):
        if len(words) >= LEAD_WORDS:
            break
        found = [_plain(word) for word in _WORD.findall(clause)]
        content = [word for word in found if word and word not in _STOP]
        words += content
        pairs += [f"{one} {next_one}" for one, next_one in pairwise(content)]
    return words, pairs


def _clauses(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKC", html.unescape(text)).casefold().replace("’", "'")
    if len(plain) > LEAD_CHARS:
        plain = _whole_words(plain[:LEAD_CHARS])
    plain = _OPENING.sub("", _LINK.sub(" ", plain)).strip()
    end = len(plain) + 1
    while len(plain) < end:
        end = len(plain)
        tail = plain[-_CLOSING_CHARS:]
        plain = plain[: end - len(tail)] + _CLOSING.sub("", tail).rstrip(" -|–—")
    if plain.endswith(("...", "…")):
        plain = _whole_words(plain.rstrip(".…"))
    plain = _ACRONYM.sub(lambda found: found[0].replace(".", ""), plain)
    plain = _AMOUNT.sub(lambda found: f" {_SCALES[found[1]]}", plain)
    return _CLAUSE.split(plain)


def _whole_words(cut: str) -> str:
    """Without the word that a feed cut in two."""
    return cut if cut[-1:].isspace() else cut.rpartition(" ")[0]


def _plain(word: str) -> str:
    """Without currency, thousands separators and the possessive."""
    if word[-1:].isdigit() or word.lstrip("-$€£")[:1].isdigit():
        return word.replace(",", "").lstrip("€£").replace("$", "")
    word = word.removesuffix("'s").replace("'", "").lstrip("$")
    return _SPELLED.get(word, word)
