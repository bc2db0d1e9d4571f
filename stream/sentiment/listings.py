"""The file of listed companies, and the spellings under which texts name them."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from stream.errors import Refused
from stream.sentiment.company_words import DESCRIPTIVE, LEGAL, NOISY, TICKER_WORDS

_SYMBOL = re.compile(r"[A-Z0-9][A-Z0-9.\-/]{0,15}")
_ENDINGS = LEGAL | {"&", "and"}
FLAT = str.maketrans("’‘‑–—\u00a0", "''--- ")  # one for one: places stay


class Listing(NamedTuple):
    """A row of the directory; an alias that ends in `?` needs a second sign."""

    symbol: str
    company: str
    aliases: tuple[str, ...] = ()
    sector: str = ""


def read_listings(path: Path) -> list[Listing]:
    """The rows of a CSV file: symbol, company, and if you like aliases (a|b) and sector.

    Raises Refused with the line that does not fit.
    """
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"TAPEWIRE_SYMBOLS_FILE={path}: expected a UTF-8 file: {error}") from None
    rows = csv.DictReader(io.StringIO(text))
    missing = {"symbol", "company"} - set(rows.fieldnames or ())
    if missing:
        raise Refused(
            f"TAPEWIRE_SYMBOLS_FILE={path}: expected the columns symbol,company[,aliases][,sector],"
            f" got {rows.fieldnames}"
        )
    listings: dict[str, Listing] = {}
    for row in rows:
        symbol, company = (row["symbol"] or "").strip(), (row["company"] or "").strip()
        if not _SYMBOL.fullmatch(symbol) or not company or symbol in listings:
            raise Refused(
                f"TAPEWIRE_SYMBOLS_FILE={path}, line {rows.line_num}: expected a ticker in "
                f"capitals, once, and its company, got {symbol[:40]!r}, {company[:40]!r}"
            )
        aliases = [each.strip() for each in (row.get("aliases") or "").split("|")]
        listings[symbol] = Listing(
            symbol, company, tuple(filter(None, aliases)), (row.get("sector") or "").strip()
        )
    return list(listings.values())


def short_name(company: str) -> str:
    """The name without article and legal form.

    Examples
    --------
    >>> short_name("The Procter & Gamble Company"), short_name("Amazon.com  Inc.")
    ('Procter & Gamble', 'Amazon')
    """
    words = company.translate(FLAT).split()
    if len(words) > 1 and words[0].lower() == "the":
        words = words[1:]
    while len(words) > 1 and words[-1].lower().strip(".,").replace(".", "") in _ENDINGS:
        words = words[:-1]
    return re.sub(r"\.com$", "", " ".join(words).rstrip(",."), flags=re.IGNORECASE)


def spellings(listing: Listing) -> Iterator[tuple[str, bool]]:
    """Every spelling that is looked for, and whether it is marked noisy."""
    company = short_name(listing.company)
    words = company.split()
    wanted = [(company, False)]
    if len(words) == 2 and words[1].lower() in DESCRIPTIVE:
        short = words[0]
        if len(short) > 3 and short.lower() not in NOISY and short.upper() not in TICKER_WORDS:
            wanted.append((short, False))
    wanted += [(a.rstrip("? ").translate(FLAT), a.endswith("?")) for a in listing.aliases]
    for name, noisy in wanted:
        for old, new in (("", ""), ("&", "and"), ("-", " "), ("-", ""), ("'", "")):
            spelled = " ".join(name.replace(old, new).split())
            if len(spelled) > 1:
                yield spelled, noisy
