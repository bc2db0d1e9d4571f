"""The sector as a category: the same small code for a name at any time and in any process.

    0, 1, ...    a name of NAMES, in that order
    OTHERS, ...  any other name, by its hash: two of them may share a code

Codes are part of the feature set's version.
"""

from __future__ import annotations

from functools import lru_cache
from zlib import crc32

from stream.features.groups import Feature, Group, Values
from stream.features.view import View

SECTOR = "sector_code_instrument"  # its values are names, not numbers: they have no order
# GICS, then what ICB and Morningstar call otherwise.
NAMES = (
    "Energy", "Materials", "Industrials", "Consumer Discretionary", "Consumer Staples",
    "Health Care", "Financials", "Information Technology", "Communication Services", "Utilities",
    "Real Estate",
    "Technology", "Telecommunications", "Basic Materials",
    "Consumer Cyclical", "Consumer Defensive", "Financial Services", "Healthcare",
)  # fmt: skip
OTHERS = 32
N_CODES = 64

_CODES = {name.casefold(): code for code, name in enumerate(NAMES)}


@lru_cache(maxsize=1024)
def sector_code(name: str) -> float | None:
    """The code of a sector, whole and below N_CODES; None for the empty name. Case is ignored.

    >>> sector_code("Energy"), sector_code("energy"), sector_code("")
    (0.0, 0.0, None)
    """
    if not name:
        return None
    plain = name.casefold()
    known = _CODES.get(plain)
    return float(OTHERS + crc32(plain.encode()) % (N_CODES - OTHERS) if known is None else known)


def sector_name(code: float) -> str:
    """The name behind a code, or `sector 37` where it stands for whatever name falls there."""
    return NAMES[int(code)] if code < len(NAMES) else f"sector {code:g}"


def membership() -> Group:
    """The code of the instrument's sector, as known when the vector is made."""

    def compute(view: View) -> Values:
        return [sector_code(view.sector)]

    return Group(
        (Feature(SECTOR, "category", "instrument", f"0..{N_CODES - 1}", "no sector"),), compute
    )
