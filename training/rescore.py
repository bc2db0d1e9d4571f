"""Stored articles scored again by another model, as if it had been there: into SQL only.

The sentiment role's own step reads the stored articles in the log's order, so a re-score is what
the role would have said with that model: text, symbols, revisions, re-prints. Its scores are
available a scoring delay after the article was in the log, and go to the table `rescores`, which no
feature, no known-at function, `verify` nor training on what was known reads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, NamedTuple

import msgspec
import psycopg
from psycopg import sql

from models.sentiment.model import NEUTRAL, Probabilities, SentimentModel, template
from stream.database import explained
from stream.errors import Refused, Rejected
from stream.events import NewsArticle, SentimentScored, decode, encode, micros, moment
from stream.sentiment.step import SentimentStep

BATCH = 200  # articles of one call of the model and one transaction

_ARTICLE = NewsArticle.__struct_fields__
_SCORE = SentimentScored.__struct_fields__
_PLACE = ("kafka_ts", "topic_id", "partition", "offset")

# Not what the role made a dead letter of. What lies before `since` says what later ones repeat.
_ARTICLES = """
    FROM news_available n
    WHERE n.available_at >= %(since)s - %(keep)s AND n.available_at < %(until)s
        AND NOT EXISTS (
            SELECT FROM dead_letters d
            WHERE d.role = 'sentiment' AND d.source_partition = n."partition"
                AND d.source_offset = n."offset" AND d.source_kafka_ts = n.kafka_ts
        )
"""
_DUE = """
    n.available_at >= %(since)s
    AND NOT EXISTS (
        SELECT FROM sentiments s
        WHERE s.article_id = n.id AND s.revision = n.revision AND s.model = %(model)s
    )
    AND NOT EXISTS (
        SELECT FROM rescores r
        WHERE r.article_id = n.id AND r.revision = n.revision AND r.model = %(model)s
    )
"""
_IN_LOG_ORDER = """
    ORDER BY min(n.kafka_ts) OVER (PARTITION BY n.topic_id), n.topic_id, n."partition", n."offset"
"""


class Rescored(NamedTuple):
    """What was done: due articles gone through, and the rows that came of them."""

    model: str
    n_articles: int
    n_rows: int


class _Row(NamedTuple):
    """A stored article as the record it was; `due` says whether it wants a score."""

    topic_id: str
    partition: int
    offset: int
    timestamp: int
    key: bytes
    value: bytes
    due: bool


class _Now:
    """The model while `asked`; else, where history only goes by, everything is neutral."""

    def __init__(self, model: SentimentModel) -> None:
        self.name, self.version, self.template = model.name, model.version, template(model)
        self.asked = False
        self._model = model

    def probabilities(self, texts: Sequence[str]) -> list[Probabilities]:
        return self._model.probabilities(texts) if self.asked else [NEUTRAL] * len(texts)


class _Kept:
    """An Outbox of the scores that the model made."""

    def __init__(self, model: str) -> None:
        self.scores: list[SentimentScored] = []
        self._model = model

    def send(self, topic: str, key: bytes, value: bytes, **_: Any) -> None:
        scored = decode(SentimentScored, value)
        if scored.model == self._model:  # where it failed, another one, or none, stands in
            self.scores.append(scored)


def rescore(
    dsn: str,
    schema: str,
    model: SentimentModel,
    *,
    since: datetime,
    until: datetime,
    limit: int | None,
    make_step: Callable[[SentimentModel], SentimentStep],
    keep_us: int,
    batch: int = BATCH,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Rescored:
    """Score the articles available in [since, until) that have no score by this model yet.

    Every batch is one transaction, and an article has all its rows or none: killed, it goes on
    where it was when it is called again; called twice, it adds nothing.

    Parameters
    ----------
    limit : at most so many articles that get rows, the first in the log's order. Those that no
        row comes of are gone past, and not counted: else they would be all that it ever saw.
    make_step : a step as the role has it in a replay, without a state, around a model.
    keep_us : how long before `since` texts and revisions count: the longest news window.
    progress : told (articles done, articles due).

    Raises
    ------
    Unavailable
        The database does not answer.
    Refused
        The server refuses us, or the schema has no tables of this version.
    """
    label = f"{model.name}-{model.version}"
    given = {
        "since": since,
        "until": until,
        "keep": timedelta(microseconds=keep_us),
        "model": label,
    }
    now = _Now(model)
    n_articles = n_rows = n_given = 0
    size = batch if limit is None else min(batch, limit)
    try:
        with _connect(dsn, schema) as reading, _connect(dsn, schema) as writing:
            reading.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            reading.read_only = True
            total = _count(reading, given)
            progress(0, total)
            with asyncio.Runner() as runner, closing(_articles(reading, given)) as articles:
                for _, log in groupby(articles, key=lambda row: row[:2]):
                    step = make_step(now)
                    for rows in _batches(log, size):
                        due = [row for row in rows if row.due]
                        found = _scores(runner, step, now, rows, due)
                        if limit is not None:
                            found, due = _first(limit - n_given, found, due)
                        n_given += len({row.offset for row, _ in found})
                        n_rows += _store(writing, found)
                        n_articles += len(due)
                        progress(n_articles, total)
                        if n_articles >= total or n_given == limit:
                            return Rescored(label, n_articles, n_rows)
    except psycopg.errors.UndefinedTable as error:
        raise Refused(
            f"schema {schema}: expected the tables of this version, found none of "
            f"{str(error).split()[1]}; run tapewire migrate"
        ) from error
    except psycopg.OperationalError as error:
        raise explained(error) from error
    return Rescored(label, n_articles, n_rows)


def _scores(
    runner: asyncio.Runner, step: SentimentStep, now: _Now, rows: Sequence[_Row], due: list[_Row]
) -> list[tuple[_Row, SentimentScored]]:
    """The due rows' scores; all rows go by, in order, because later ones hang on them."""
    label = f"{now.name}-{now.version}"
    now.asked = True
    if due:
        runner.run(step.prepare("news", due))
    wanted = {row.offset for row in due}
    found: list[tuple[_Row, SentimentScored]] = []
    for row in rows:
        now.asked = row.offset in wanted
        out = _Kept(label)
        try:
            step.apply("news", row, out)
        except Rejected:
            continue  # `max_ahead` or a limit has become stricter since
        if now.asked:
            found.extend((row, scored) for scored in out.scores)
    for _ in step.take_changes():  # nobody restores this state
        pass
    return found


def _first(
    n: int, found: list[tuple[_Row, SentimentScored]], due: list[_Row]
) -> tuple[list[tuple[_Row, SentimentScored]], list[_Row]]:
    """The scores of the first `n` articles that have any, and what was due up to there."""
    scored = sorted({row.offset for row, _ in found})
    if len(scored) < n:
        return found, due
    last = scored[n - 1]
    return [each for each in found if each[0].offset <= last], [
        row for row in due if row.offset <= last
    ]


def _store(connection: psycopg.Connection, found: list[tuple[_Row, SentimentScored]]) -> int:
    """Add what is not there yet, in one transaction; returns how many rows."""
    if not found:
        return 0
    columns = sql.SQL(", ").join(map(sql.Identifier, _SCORE + _PLACE))
    values = sql.SQL(", ").join([sql.Placeholder()] * len(_SCORE + _PLACE))
    query = sql.SQL("INSERT INTO rescores ({}) VALUES ({}) ON CONFLICT DO NOTHING").format(
        columns, values
    )
    rows = [
        (
            *msgspec.structs.astuple(scored),
            moment(row.timestamp * 1000),
            row.topic_id,
            row.partition,
            row.offset,
        )
        for row, scored in found
    ]
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(query, rows)
        return cursor.rowcount


def _count(connection: psycopg.Connection, given: dict[str, object]) -> int:
    query = f"SELECT count(*) {_ARTICLES} AND {_DUE}"
    row = connection.execute(query.encode(), given).fetchone()
    return 0 if row is None else int(row[0])


def _articles(
    connection: psycopg.Connection, given: dict[str, object]
) -> Generator[_Row, None, None]:
    """Articles in the log's order, from one snapshot."""
    columns = ", ".join(f'n."{name}"' for name in (*_ARTICLE, *_PLACE))
    query = f"SELECT {columns}, {_DUE} {_ARTICLES} {_IN_LOG_ORDER}"
    with connection.cursor(name="rescore") as cursor:
        cursor.itersize = 1_000
        for *fields, at, topic_id, partition, offset, due in cursor.execute(query.encode(), given):
            named = dict(zip(_ARTICLE, fields, strict=True))
            article = NewsArticle(**{**named, "symbols": tuple(named["symbols"])})
            key, value = article.id.encode(), encode(article)
            yield _Row(topic_id, partition, offset, micros(at) // 1000, key, value, due)


def _batches(rows: Iterable[_Row], size: int) -> Iterator[list[_Row]]:
    """The rows in parts that hold `size` due ones, or ten times as many others."""
    part: list[_Row] = []
    n_due = 0
    for row in rows:
        part.append(row)
        n_due += row.due
        if n_due >= size or len(part) >= 10 * size:
            yield part
            part, n_due = [], 0
    if part:
        yield part


def _connect(dsn: str, schema: str) -> psycopg.Connection:
    connection = psycopg.connect(dsn)
    path = sql.SQL("SET search_path = {}, public; SET timezone = 'UTC'")
    connection.execute(path.format(sql.Identifier(schema)))
    connection.commit()
    return connection
