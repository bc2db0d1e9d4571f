"""The sentiment role for one partition: an article in, one score a symbol out.

An article is available at max(published_at, received_at), its score at max(that, scored_at).
Without received_at the Kafka timestamp stands for it: in a live namespace the moment the broker
got it, in a replay the availability that the loader assumed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import structlog

from models.sentiment.model import NEUTRAL, Probabilities, SentimentModel
from stream import metrics
from stream.engine.step import Outbox, Outcome, Record
from stream.errors import Rejected
from stream.events import NewsArticle, SentimentScored, decode, encode, micros, moment
from stream.sentiment.directory import NOTHING_LISTED, Directory
from stream.sentiment.reading import Part, Reading, read, weigh
from stream.sentiment.state import Articles, Known
from stream.sentiment.text import has_words, one_line, text_hash

log = structlog.get_logger()

MAX_BYTES = 4 * 1024 * 1024  # of one record, unknown fields included
NO_MODEL = "none"  # on a score that no model could give: neutral, and not counted as a model's


class Judged(NamedTuple):
    """A text's probabilities and the model that gave them."""

    score: Probabilities
    model: str


class SentimentStep:
    """Implements `stream.engine.step.Step`.

    Parameters
    ----------
    clock : now, in microseconds; None in a replay, where scoring takes `scoring_delay_us`.
    keep_us : how long an article is remembered: the longest news window of the feature set.
    languages : an article that says another one is not scored; none: every language is.
    refuse_unscorable : what cannot be scored is rejected, not neutral.
    """

    def __init__(
        self,
        model: SentimentModel,
        *,
        clock: Callable[[], int] | None,
        scoring_delay_us: int,
        max_ahead_us: int,
        keep_us: int,
        directory: Directory = NOTHING_LISTED,
        languages: tuple[str, ...] = ("en",),
        refuse_unscorable: bool = False,
    ) -> None:
        self.n_without_symbol = 0
        self._model = model
        self._model_name = f"{model.name}-{model.version}"
        self._clock = clock
        self._scoring_delay_us = scoring_delay_us
        self._max_ahead_us = max_ahead_us
        self._articles = Articles(keep_us)
        self._directory = directory
        self._languages = languages
        self._refuse_unscorable = refuse_unscorable
        self._read: dict[bytes | None, Reading] = {}
        self._judged: dict[str, Judged] = {}

    async def prepare(self, topic: str, records: Sequence[Record]) -> None:
        """Score the chunk's texts in one batch, off the event loop."""
        fresh: dict[bytes | None, NewsArticle] = {}
        for record in records:
            try:
                article = self._decode(record)
            except Rejected:
                continue  # `apply` refuses it again, with the reason
            known = self._articles.find(article.id)
            if article.status != "retracted" and (
                known is None or article.revision > known.revision
            ):
                fresh[record.value] = article
        self._read, self._judged = await asyncio.to_thread(self._read_and_judge, fresh)

    def _read_and_judge(
        self, fresh: Mapping[bytes | None, NewsArticle]
    ) -> tuple[dict[bytes | None, Reading], dict[str, Judged]]:
        with metrics.STAGE_S.labels("sentiment", "read").time():
            found = {raw: read(article, self._directory) for raw, article in fresh.items()}
        texts: dict[str, None] = {}
        for raw, article in fresh.items():
            if self._why_unscorable(article, found[raw]) is None:
                for symbol, _ in found[raw].mentions:
                    texts.update((part.text, None) for part in found[raw].of(symbol))
        wanted = list(texts)
        with metrics.STAGE_S.labels("sentiment", "model").time():
            return found, dict(zip(wanted, self._judge(wanted), strict=True))

    def _why_unscorable(self, article: NewsArticle, reading: Reading) -> str | None:
        """Why no model may score the article: its language, or a text without words."""
        language = article.lang.partition("-")[0].partition("_")[0].lower()
        if language and self._languages and language not in self._languages:
            return "language"
        return None if has_words(reading.text) else "words"

    def _judge(self, texts: list[str]) -> list[Judged]:
        """One result a text; a text that breaks the model breaks no other."""
        if not texts:
            return []
        try:
            scores = self._model.probabilities(texts)
            return [Judged(score, self._model_name) for score in scores]
        except Exception as error:
            if len(texts) > 1:
                return [judged for text in texts for judged in self._judge([text])]
            metrics.MODEL_FAILURES.labels(self._model_name).inc()
            log.warning(
                "sentiment model failed on a text",
                model=self._model_name,
                text_hash=text_hash(texts[0]),
                why=repr(error),
            )
            return [Judged(NEUTRAL, NO_MODEL)]

    def apply(self, topic: str, record: Record, out: Outbox) -> Outcome:
        """Emit one SentimentScored a symbol; an old revision is a duplicate.

        A correction and a retraction reach every symbol that the article was ever given: those
        that a correction no longer names get a retraction. One that names none keeps them all.
        """
        article = self._decode(record)
        kafka_us = record.timestamp * 1000
        received = kafka_us if article.received_at is None else micros(article.received_at)
        available = max(micros(article.published_at), received)
        self._articles.advance(available)
        known = self._articles.find(article.id)
        if known is not None and article.revision <= known.revision:
            return Outcome.DUPLICATE
        reading = self._read.get(record.value) or read(article, self._directory)
        why = None if article.status == "retracted" else self._why_unscorable(article, reading)
        if why is not None:
            self._refuse_or_count(why, article)
        before = {} if known is None else known.symbols
        now = {m.symbol: m.relevance for m in reading.mentions}
        if article.status == "retracted":
            now = {**before, **now}
        elif not now:
            now = {symbol: share for symbol, share in before.items() if share > 0.0}
        fingerprint = text_hash(reading.text or article.headline)
        original = known is not None and known.text_hash == fingerprint
        self._articles.put(
            article.id,
            Known(
                revision=article.revision,
                status=article.status,
                available_at=available if known is None else max(available, known.available_at),
                text_hash=fingerprint,
                since=known.since if known is not None and original else record.offset,
                symbols={**dict.fromkeys(before, 0.0), **now},
            ),
        )
        if not now and not before:
            self.n_without_symbol += 1
            metrics.WITHOUT_SYMBOL.inc()
            return Outcome.APPLIED
        self._send(article, kafka_us, available, reading, why, fingerprint, now, before, out)
        return Outcome.APPLIED

    def _refuse_or_count(self, why: str, article: NewsArticle) -> None:
        if not self._refuse_unscorable:
            metrics.UNSCORED.labels(why).inc()
        elif why == "language":
            expected = ", ".join(self._languages)
            raise Rejected(f"Expected a text in {expected}, got {article.lang!r} - at `$.lang`")
        else:
            raise Rejected("Expected a text with words, got none - at `$.headline`")

    def _opinion(self, parts: tuple[Part, ...]) -> Judged:
        """The parts' scores made one; a part that its model failed on, or another made, is out."""
        judged = [
            (part.weight, self._judged.get(part.text) or self._judge([part.text])[0])
            for part in parts
        ]
        model = next((each.model for _, each in judged if each.model != NO_MODEL), NO_MODEL)
        return Judged(weigh([(w, each.score) for w, each in judged if each.model == model]), model)

    def _send(
        self,
        article: NewsArticle,
        kafka_us: int,
        available: int,
        reading: Reading,
        why: str | None,
        fingerprint: str,
        now: Mapping[str, float],
        before: Mapping[str, float],
        out: Outbox,
    ) -> None:
        replay = self._clock is None
        scored_at = kafka_us + self._scoring_delay_us if self._clock is None else self._clock()
        at = max(available, scored_at)
        for symbol in sorted({*now, *before}):
            status = article.status if symbol in now else "retracted"
            score, model, duplicate = NEUTRAL, self._model_name, False
            if status != "retracted":
                if why is not None:
                    model = f"{NO_MODEL}:{why}"
                else:
                    score, model = self._opinion(reading.of(symbol))
                duplicate = self._articles.is_reprint(fingerprint, symbol, article.id)
            scored = SentimentScored(
                article_id=article.id,
                revision=article.revision,
                status=status,
                symbol=symbol,
                source=article.source,
                published_at=article.published_at,
                available_at=moment(at),
                scored_at=moment(scored_at),
                negative=score.negative,
                neutral=score.neutral,
                positive=score.positive,
                relevance=now.get(symbol, 0.0),
                model=model,
                text_hash=fingerprint,
                headline=one_line(article.headline),
                n_chars=len(reading.text),
                duplicate=duplicate,
                assumed_times=replay,
            )
            timestamp_ms = -(-at // 1000) if replay else None
            out.send("sentiment", symbol.encode(), encode(scored), timestamp_ms=timestamp_ms)

    def _decode(self, record: Record) -> NewsArticle:
        raw = record.value
        if raw is None:
            raise Rejected("value: expected a JSON object, got none")
        if len(raw) > MAX_BYTES:
            raise Rejected(f"value: expected at most {MAX_BYTES} bytes, got {len(raw)}")
        try:
            article = decode(NewsArticle, raw)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Rejected(str(error)) from error
        if record.key != article.id.encode():
            got = None if record.key is None else record.key[:200]
            raise Rejected(f"key: expected the article's id {article.id!r}, got {got!r}")
        if not one_line(article.headline):
            raise Rejected("Expected text, got only spaces or control characters - at `$.headline`")
        self._refuse_future(article, record.timestamp * 1000)
        return article

    def _refuse_future(self, article: NewsArticle, kafka_us: int) -> None:
        for name in ("published_at", "received_at"):
            at = getattr(article, name)
            if at is not None and micros(at) > kafka_us + self._max_ahead_us:
                raise Rejected(
                    f"Expected at most {self._max_ahead_us / 1e6:g} s after the record's Kafka "
                    f"timestamp {moment(kafka_us).isoformat()}, got {at.isoformat()} "
                    f"- at `$.{name}`"
                )

    def take_changes(self) -> Iterable[tuple[bytes, bytes | None]]:
        """Changed articles, and tombstones of those that left the longest news window."""
        return self._articles.take_changes()

    def meta(self) -> dict[str, Any]:
        """Model, directory, the latest availability in microseconds, articles without a symbol."""
        return {
            "model": self._model_name,
            "directory": self._directory.digest,
            "latest": self._articles.latest,
            "without_symbol": self.n_without_symbol,
        }

    def restore(self, slots: Mapping[bytes, bytes], meta: Mapping[str, Any]) -> None:
        """Take a checkpoint's state."""
        self.n_without_symbol = int(meta.get("without_symbol", 0))
        self._articles.restore(slots, int(meta.get("latest", 0)))
