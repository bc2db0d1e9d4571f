"""The sentiment role for one partition: an article in, one score a symbol out.

An article is available at max(published_at, received_at), its score at max(that, scored_at).
Slots keep, for the longest news window, what each article was: its last revision, every symbol
it was ever given (a retraction must reach them all), and the hash of its text (a re-print of the
same text about the same symbol is marked a duplicate).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from models.sentiment.model import NEUTRAL, Probabilities, SentimentModel
from stream.engine.step import Outbox, Outcome, Record
from stream.errors import Rejected
from stream.events import NewsArticle, SentimentScored, decode, encode, micros, moment
from stream.sentiment.attribution import mentions
from stream.sentiment.text import clean, text_hash

KEEP_US = 30 * 86_400 * 1_000_000  # the longest news window of any feature set


class Known(msgspec.Struct, array_like=True):
    """What an article was. `available_at` in microseconds."""

    revision: int
    available_at: int
    text_hash: str
    symbols: dict[str, float]  # every symbol ever given -> relevance


class SentimentStep:
    """Implements `stream.engine.step.Step`.

    Parameters
    ----------
    clock : now, in microseconds; None in a replay, where scoring takes `scoring_delay_us`.
    """

    def __init__(
        self,
        model: SentimentModel,
        *,
        clock: Callable[[], int] | None,
        scoring_delay_us: int,
        max_ahead_us: int,
    ) -> None:
        self._model = model
        self._clock = clock
        self._scoring_delay_us = scoring_delay_us
        self._max_ahead_us = max_ahead_us
        self._articles: dict[str, Known] = {}
        self._first_with: dict[tuple[str, str], str] = {}  # (text hash, symbol) -> article
        self._changed: set[str] = set()
        self._latest = 0
        self._scored: dict[str, Probabilities] = {}

    async def prepare(self, topic: str, records: Sequence[Record]) -> None:
        """Score the chunk's texts in one batch, off the event loop."""
        texts: dict[str, None] = {}
        for record in records:
            try:
                article = decode(NewsArticle, record.value or b"")
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue  # `apply` refuses it with the reason
            texts[clean(article.headline, article.body)] = None
        wanted = list(texts)
        scores = await asyncio.to_thread(self._model.probabilities, wanted)
        self._scored = dict(zip(wanted, scores, strict=True))

    def apply(self, topic: str, record: Record, out: Outbox) -> Outcome:
        """Emit one SentimentScored a symbol; an old revision is a duplicate."""
        article = self._decode(record)
        kafka_us = record.timestamp * 1000
        received = kafka_us if article.received_at is None else micros(article.received_at)
        available = max(micros(article.published_at), received)
        known = self._articles.get(article.id)
        if known is not None and article.revision <= known.revision:
            return Outcome.DUPLICATE
        text = clean(article.headline, article.body)
        fingerprint = text_hash(text)
        now = {m.symbol: m.relevance for m in mentions(article)}
        before = {} if known is None else known.symbols
        if article.status == "retracted":
            now = {**now, **before}
        scored_at = kafka_us + self._scoring_delay_us if self._clock is None else self._clock()
        score = NEUTRAL if article.status == "retracted" else self._scored.get(text, NEUTRAL)
        for symbol in sorted({*now, *before}):
            gone = symbol not in now
            self._send(
                out,
                SentimentScored(
                    article_id=article.id,
                    revision=article.revision,
                    status="retracted" if gone else article.status,
                    symbol=symbol,
                    source=article.source,
                    published_at=article.published_at,
                    available_at=moment(max(available, scored_at)),
                    scored_at=moment(scored_at),
                    negative=score.negative,
                    neutral=score.neutral,
                    positive=score.positive,
                    relevance=before[symbol] if gone else now[symbol],
                    model=self._model.name,
                    text_hash=fingerprint,
                    headline=article.headline,
                    n_chars=len(text),
                    duplicate=self._is_reprint(fingerprint, symbol, article.id),
                    assumed_times=article.received_at is None,
                ),
            )
        self._remember(article, available, fingerprint, {**before, **now})
        return Outcome.APPLIED

    def _decode(self, record: Record) -> NewsArticle:
        if record.value is None:
            raise Rejected("value: expected a JSON object, got none")
        try:
            article = decode(NewsArticle, record.value)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Rejected(str(error)) from error
        if record.key != article.id.encode():
            raise Rejected(f"key: expected the article's id {article.id!r}, got {record.key!r}")
        limit = record.timestamp * 1000 + self._max_ahead_us
        for name in ("published_at", "received_at"):
            at = getattr(article, name)
            if at is not None and micros(at) > limit:
                raise Rejected(
                    f"`{name}`: expected at most {self._max_ahead_us / 1e6:g} s after the record's "
                    f"Kafka timestamp, got {at.isoformat()}"
                )
        return article

    def _send(self, out: Outbox, scored: SentimentScored) -> None:
        at_ms = -(-micros(scored.available_at) // 1000) if self._clock is None else None
        out.send("sentiment", scored.symbol.encode(), encode(scored), timestamp_ms=at_ms)

    def _is_reprint(self, fingerprint: str, symbol: str, article_id: str) -> bool:
        return self._first_with.get((fingerprint, symbol), article_id) != article_id

    def _remember(
        self, article: NewsArticle, available: int, fingerprint: str, symbols: dict[str, float]
    ) -> None:
        self._articles[article.id] = Known(article.revision, available, fingerprint, symbols)
        for symbol in symbols:
            self._first_with.setdefault((fingerprint, symbol), article.id)
        self._changed.add(article.id)
        self._latest = max(self._latest, available)

    def take_changes(self) -> Iterable[tuple[bytes, bytes | None]]:
        """Changed articles, and tombstones of those that left the longest news window."""
        for article_id in sorted(self._changed):
            yield article_id.encode(), msgspec.json.encode(self._articles[article_id])
        self._changed.clear()
        oldest = self._latest - KEEP_US
        while self._articles:
            first = next(iter(self._articles))
            known = self._articles[first]
            if known.available_at >= oldest:
                break
            del self._articles[first]
            for symbol in known.symbols:
                self._first_with.pop((known.text_hash, symbol), None)
            yield first.encode(), None

    def meta(self) -> dict[str, Any]:
        """The model and the latest availability seen, in microseconds."""
        return {"model": self._model.name, "latest": self._latest}

    def restore(self, slots: Mapping[bytes, bytes], meta: Mapping[str, Any]) -> None:
        """Take a checkpoint's state."""
        self._latest = int(meta.get("latest", 0))
        found = [(key.decode(), msgspec.json.decode(raw, type=Known)) for key, raw in slots.items()]
        for article_id, known in sorted(found, key=lambda item: (item[1].available_at, item[0])):
            self._articles[article_id] = known
            for symbol in known.symbols:
                self._first_with.setdefault((known.text_hash, symbol), article_id)
