"""The sentiment role for one partition: an article in, one score a symbol out.

An article is available at max(published_at, received_at), its score at max(that, scored_at).
Without received_at the Kafka timestamp stands for it: in a live namespace the moment the broker
got it, in a replay the availability that the loader assumed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import structlog

from models.sentiment.model import NEUTRAL
from stream import metrics
from stream.engine.step import Outbox, Outcome, Record
from stream.errors import Rejected
from stream.events import NewsArticle, SentimentScored, decode, encode, micros, moment
from stream.sentiment.judge import NO_MODEL
from stream.sentiment.opinions import Fresh, Opinions, Understood
from stream.sentiment.state import Articles, Known
from stream.sentiment.text import one_line

log = structlog.get_logger()

_FRESH_US = 10_000_000  # an older record is backfill, whose scoring waits for that of fresh ones
MAX_BYTES = 4 * 1024 * 1024  # of one record, unknown fields included


class SentimentStep:
    """Implements `stream.engine.step.Step`.

    Parameters
    ----------
    clock : now, in microseconds; None in a replay, where scoring takes `scoring_delay_us`.
    keep_us : how long an article is remembered: the longest news window of the feature set.
    refuse_unscorable : what cannot be scored is rejected, not neutral.
    """

    def __init__(
        self,
        opinions: Opinions,
        *,
        clock: Callable[[], int] | None,
        scoring_delay_us: int,
        max_ahead_us: int,
        keep_us: int,
        refuse_unscorable: bool = False,
    ) -> None:
        self.n_without_symbol = 0
        self.last: tuple[NewsArticle, list[SentimentScored]] | None = None  # applied, with scores
        self._opinions = opinions
        self._clock = clock
        self._scoring_delay_us = scoring_delay_us
        self._max_ahead_us = max_ahead_us
        self._articles = Articles(keep_us)
        self._refuse_unscorable = refuse_unscorable

    async def prepare(self, topic: str, records: Sequence[Record]) -> None:
        """Read the chunk and score its texts, off the event loop.

        It is fresh if all of it is: what waits for backfill in its own partition is not.
        """
        chunk: dict[bytes | None, Fresh] = {}
        latest = self._articles.latest
        for record in records:
            try:
                article = self._decode(record)
            except Rejected:
                continue  # `apply` refuses it again, with the reason
            latest = max(latest, _available(article, record))
            known = self._articles.find(article.id)
            if (
                known is None
                or article.revision > known.revision
                or known.available_at < self._articles.oldest(latest)
            ):
                chunk[record.value] = Fresh(article, () if known is None else known.symbols)
        since = None if self._clock is None else self._clock() - _FRESH_US
        fresh = since is not None and all(each.timestamp * 1000 >= since for each in records)
        await self._opinions.prepare(chunk, fresh=fresh)

    def apply(self, topic: str, record: Record, out: Outbox) -> Outcome:
        """Emit one SentimentScored a symbol; an old revision is a duplicate.

        A correction and a retraction reach every symbol that the article was ever given: those
        that a correction no longer names get a retraction. One that names none keeps them all.
        """
        article = self._decode(record)
        available = _available(article, record)
        self._articles.advance(available)
        known = self._articles.find(article.id)
        if known is not None and article.revision <= known.revision:
            return Outcome.DUPLICATE
        understood = self._opinions.understood(record.value, article)
        if understood.unscorable is not None:
            self._refuse_or_count(understood.unscorable, article)
        before = {} if known is None else known.symbols
        now = {m.symbol: m.relevance for m in understood.reading.mentions}
        if article.status == "retracted":
            now = {**before, **now}
        elif not now:
            now = {symbol: share for symbol, share in before.items() if share > 0.0}
        original = known is not None and known.text_hash == understood.text_hash
        self._articles.put(
            article.id,
            Known(
                revision=article.revision,
                status=article.status,
                available_at=available if known is None else max(available, known.available_at),
                text_hash=understood.text_hash,
                since=known.since if known is not None and original else record.offset,
                symbols={**dict.fromkeys(before, 0.0), **now},
            ),
        )
        self.last = article, []
        if not now and not before:
            self.n_without_symbol += 1
            metrics.WITHOUT_SYMBOL.inc()
            return Outcome.APPLIED
        kafka_us = record.timestamp * 1000
        for scored in self._scores(article, kafka_us, available, understood, now, before):
            at = micros(scored.available_at)
            timestamp_ms = None if self._clock is not None else -(-at // 1000)
            out.send("sentiment", scored.symbol.encode(), encode(scored), timestamp_ms=timestamp_ms)
            self.last[1].append(scored)
        return Outcome.APPLIED

    def _refuse_or_count(self, why: str, article: NewsArticle) -> None:
        if not self._refuse_unscorable:
            metrics.UNSCORED.labels(why).inc()
        elif why == "language":
            expected = ", ".join(self._opinions.languages)
            if self._opinions.allows(article.lang):
                raise Rejected(f"Expected a text in {expected}, got another script's")
            raise Rejected(f"Expected a text in {expected}, got {article.lang!r} - at `$.lang`")
        else:
            raise Rejected("Expected a text with words, got none - at `$.headline`")

    def _scores(
        self,
        article: NewsArticle,
        kafka_us: int,
        available: int,
        understood: Understood,
        now: Mapping[str, float],
        before: Mapping[str, float],
    ) -> Iterator[SentimentScored]:
        replay = self._clock is None
        scored_at = kafka_us + self._scoring_delay_us if self._clock is None else self._clock()
        at = max(available, scored_at)
        chosen = self._opinions.judge.model_of(article.id)
        reading, why = understood.reading, understood.unscorable
        for symbol in sorted({*now, *before}):
            status = article.status if symbol in now else "retracted"
            score, model, duplicate = NEUTRAL, chosen, False
            if status != "retracted":
                if why is not None:
                    model = f"{NO_MODEL}:{why}"
                else:
                    score, model = self._opinions.of(article, reading, symbol)
                duplicate = self._articles.is_reprint(understood.text_hash, symbol, article.id)
            yield SentimentScored(
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
                text_hash=understood.text_hash,
                headline=one_line(article.headline),
                n_chars=len(reading.text),
                duplicate=duplicate,
                assumed_times=replay,
                sketch=understood.sketch,
            )

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
            "model": self._opinions.judge.name,
            "directory": self._opinions.directory.digest,
            "latest": self._articles.latest,
            "without_symbol": self.n_without_symbol,
        }

    def restore(self, slots: Mapping[bytes, bytes], meta: Mapping[str, Any]) -> None:
        """Take a checkpoint's state; warns where another directory named its symbols."""
        before, now = meta.get("directory"), self._opinions.directory.digest
        if before is not None and before != now:
            log.warning(
                "TAPEWIRE_SYMBOLS_FILE: other companies are listed than at the last checkpoint; "
                "articles keep the symbols they were given until a correction",
                before=before,
                now=now,
            )
        self.n_without_symbol = int(meta.get("without_symbol", 0))
        self._articles.restore(slots, int(meta.get("latest", 0)))


def _available(article: NewsArticle, record: Record) -> int:
    """In microseconds; the Kafka timestamp stands for a missing received_at."""
    received = (
        record.timestamp * 1000 if article.received_at is None else micros(article.received_at)
    )
    return max(micros(article.published_at), received)
