"""The file of listed companies, and the spellings under which texts name them."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from itertools import zip_longest
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

    Raises Refused with the line that does not fit and what to do.
    """
    named = f"TAPEWIRE_SYMBOLS_FILE={path}"
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"{named}: expected a UTF-8 file: {error}") from None
    rows = _rows(text, named)
    _, columns = next(rows, (0, []))
    if {"symbol", "company"} - set(columns):
        raise Refused(
            f"{named}: expected the columns symbol,company[,aliases][,sector], got {columns}"
        )
    listings: dict[str, Listing] = {}
    for line, fields in rows:
        if len(fields) > len(columns):
            raise Refused(
                f"{named}, line {line}: expected {len(columns)} columns, got {len(fields)}; "
                'write aliases as a|b, and a name with a comma in quotes: "Apple, Inc."'
            )
        row = dict(zip_longest(columns, fields, fillvalue=""))
        symbol, company = row["symbol"].strip(), row["company"].strip()
        if not _SYMBOL.fullmatch(symbol) or not company or symbol in listings:
            raise Refused(
                f"{named}, line {line}: expected a ticker in capitals, once, and its company, "
                f"got {symbol[:40]!r}, {company[:40]!r}"
            )
        aliases = [each.strip() for each in row.get("aliases", "").split("|")]
        listings[symbol] = Listing(
            symbol, company, tuple(filter(None, aliases)), row.get("sector", "").strip()
        )
    return list(listings.values())


def _rows(text: str, named: str) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not empty, each with the line that it stands on."""
    reader = csv.reader(io.StringIO(text), strict=True)
    while True:
        line = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise Refused(
                f"{named}, line {line}: expected a row of CSV, got one with {error}; "
                "close its quotes, and write a quote inside of quotes twice"
            ) from None
        if reader.line_num > line:
            raise Refused(
                f"{named}, line {line}: expected a row on one line, got one to line "
                f"{reader.line_num}; close its quotes"
            )
        if fields:
            yield line, fields


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
