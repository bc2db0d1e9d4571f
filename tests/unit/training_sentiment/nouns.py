"""Words that the small encoder knows and that mean nothing."""

from __future__ import annotations

NOUNS = [
    "".join(letters)
    for a in "bdfgklmnpr"
    for letters in ((a, e, "r", o) for e in "aeiou" for o in "aeiou")
]
