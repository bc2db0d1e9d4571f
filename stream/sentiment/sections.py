"""An article as one text in sections, for models that read it whole. Pure.

    headline: Acme wins | symbol: ACME | source: wire | time: Tue 14 h | lead: ... | body: ...

What matters most comes first, because a model cuts a text at its end; headline and fields have at
most 460 characters, so 512 tokens keep them. This is the template `sections-1`: what would differ
by one letter is another template, of which models trained on this one know nothing.
"""

from __future__ import annotations

from datetime import UTC

from stream.events import NewsArticle
from stream.sentiment.text import one_line, paragraphs

HEADLINE_CHARS = 300
LEAD_CHARS = 600
BODY_CHARS = 3_000  # about 700 tokens
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")  # strftime's hang on the locale


def sectioned(article: NewsArticle, symbol: str) -> str:
    """The article for one of its symbols; the lead is the body's first paragraph.

    Time is when it was published, by weekday and hour in UTC.

    Examples
    --------
    >>> from datetime import datetime
    >>> told = NewsArticle(id="1", source="wire", headline="Acme <b>wins</b>", revision=2,
    ...     published_at=datetime(2024, 3, 5, 14, 59, tzinfo=UTC), status="corrected")
    >>> sectioned(told, "ACME")
    'headline: Acme wins | symbol: ACME | source: wire | time: Tue 14 h | status: corrected'
    """
    at = article.published_at.astimezone(UTC)
    lead, *rest = paragraphs(article.body) or [""]
    found = {
        "headline": " ".join(paragraphs(article.headline))[:HEADLINE_CHARS],
        "symbol": symbol,
        "source": one_line(article.source),
        "time": f"{_DAYS[at.weekday()]} {at.hour} h",
        "status": "" if article.status == "published" else article.status,
        "lead": lead[:LEAD_CHARS],
        "body": " ".join([lead[LEAD_CHARS:], *rest])[:BODY_CHARS].strip(),
    }
    return " | ".join(f"{name}: {text}" for name, text in found.items() if text)
