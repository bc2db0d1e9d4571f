"""Articles scored again: what the role would have said, in SQL only, once, also after a kill."""

from __future__ import annotations

import asyncio
import json
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from psycopg.rows import dict_row
from typer.testing import CliRunner

from models.sentiment.lexicon import Lexicon
from models.sentiment.model import SECTIONS, Probabilities, SentimentModel
from stream.archive.migrate import migrate
from stream.archive.sink import Chunk, Sink
from stream.cli.app import app
from stream.errors import Refused
from stream.events import NewsArticle, SentimentScored, decode, encode, moment
from stream.sentiment.agent import sentiment_step
from stream.sentiment.judge import Judge
from stream.settings import Settings
from tests.fix_namespace import drop_schema
from tests.history import Outputs, Record
from tests.unit.sentiment.articles import DAY, SECOND, T0, article
from training.accounting import accounts
from training.history import open_history
from training.rescore import Rescored, rescore
from training.stored_facts import main_sentiment_model

pytestmark = pytest.mark.stack
REPO = Path(__file__).parents[3]
FIELDS = SentimentScored.__struct_fields__
LONG_AGO, FOR_EVER = moment(T0 - 900 * DAY), moment(T0 + 900 * DAY)


class Newer(Lexicon):
    """The lexicon under another version."""

    version = "2"


class Sectioned(Newer):
    """It reads articles in sections."""

    version = "3"
    template = SECTIONS


class Fails(Newer):
    """It cannot score some texts."""

    def probabilities(self, texts: Sequence[str]) -> list[Probabilities]:
        if any("poison" in text for text in texts):
            raise RuntimeError("no such token")
        return super().probabilities(texts)


def at(seconds: float, **changes: Any) -> dict[str, Any]:
    """An article published, and received, so long after T0."""
    when = moment(T0 + int(seconds * SECOND))
    return {"published_at": when - timedelta(seconds=1), "received_at": when, **changes}


STORY = [
    article("a", "Apple beats estimates", **at(0)),
    article("b", "$MSFT falls, $AAPL rises", symbols=(), **at(1)),
    article("c", "APPLE beats estimates!", **at(2)),
    article("d", "Weather", symbols=(), **at(3)),
    article(
        "a", "Apple misses estimates", revision=2, status="corrected", symbols=("IBM",), **at(4)
    ),
    article("a", "Apple misses estimates", revision=2, symbols=("IBM",), **at(5)),
    article("b", "$MSFT falls, $AAPL rises", revision=3, status="retracted", symbols=(), **at(6)),
    article("e", "poison in the well", **at(7)),
    article("f", "Loss widens", received_at=None, published_at=moment(T0 + 7 * SECOND)),
    *(
        article(f"n{i}", f"Firm {i} {'soars' if i % 3 else 'sinks'} by {i} %", **at(10 + i))
        for i in range(30)
    ),
]


class Stored:
    """A schema with a story that the role has scored live, by the lexicon."""

    def __init__(self, dsn: str, schema: str, story: Sequence[NewsArticle] = STORY) -> None:
        self.dsn, self.schema = dsn, schema
        self.settings = Settings(database=dsn, namespace=schema)  # type: ignore[arg-type]
        self.records = [
            [
                Record(p, i, T0 // 1000 + 100_000 + i, each.id.encode(), encode(each))
                for i, each in enumerate(story)
                if i % 2 == p or each.id < "m"
            ]
            for p in (0, 1)
        ]
        self.records[1] = [each for each in self.records[1] if each.key.startswith(b"n")]
        chunks = []
        for partition, records in enumerate(self.records):
            chunks.append(_chunk("news", partition, records))
            scored = [
                Record(partition, i, T0 // 1000 + 200_000, key, value)
                for i, (_, key, value, _) in enumerate(self.said(Lexicon(), records, live=True))
            ]
            chunks.append(_chunk("sentiment", partition, scored))
        sink = Sink(dsn, schema)
        sink.write(chunks)
        sink.close()

    def said(self, model: SentimentModel, records: list[Record], *, live: bool) -> Outputs:
        """What the role says of a partition's records."""
        step, out = sentiment_step(self.settings, Judge(model), live=live), Outputs()
        asyncio.run(step.prepare("news", records))
        for record in records:
            step.apply("news", record, out)
        return out

    def rescore(
        self, model: SentimentModel, since: datetime = LONG_AGO, until: datetime = FOR_EVER,
        limit: int | None = None, batch: int = 7,
    ) -> Rescored:  # fmt: skip
        return rescore(
            self.dsn, self.schema, model, since=since, until=until, limit=limit, batch=batch,
            make_step=lambda one: sentiment_step(self.settings, Judge(one), live=False),
            keep_us=7 * DAY,
        )  # fmt: skip

    def rows(
        self, table: str = "rescores", columns: Sequence[str] = FIELDS
    ) -> list[tuple[Any, ...]]:
        names = ", ".join(f'"{name}"' for name in columns)
        return self.query(f'SELECT {names} FROM {table} ORDER BY "partition", "offset", symbol')

    def query(self, text: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(
            self.dsn, options=f"-c search_path={self.schema},public"
        ) as connection:
            connection.execute("SET timezone = 'UTC'")
            return connection.execute(text.encode()).fetchall()


def _chunk(topic: str, partition: int, records: Sequence[Record]) -> Chunk:
    end = records[-1].offset + 1 if records else 0
    return Chunk(topic, f"{topic}-id", partition, records, 0, end)


@pytest.fixture
def stored(database: str, namespace: str) -> Iterator[Stored]:
    migrate(database, namespace)
    yield Stored(database, namespace)
    drop_schema(database, namespace)


def bits(row: Sequence[float]) -> bytes:
    return struct.pack("<3d", *row)


def test_a_model_that_has_scored_them_all_adds_nothing(stored: Stored) -> None:
    assert stored.rescore(Lexicon()) == ("lexicon-1", 1, 0)  # the one without a symbol
    assert stored.rows() == []


@pytest.mark.parametrize("model", [Newer(), Sectioned()], ids=["parts", "sections"])
def test_a_rescore_is_what_the_role_would_have_said(stored: Stored, model: Newer) -> None:
    done = stored.rescore(model)
    expected = [
        decode(SentimentScored, value)
        for records in stored.records
        for _, _, value, _ in stored.said(model, records, live=False)
    ]
    assert len(expected) >= 39
    assert stored.rows() == [msgspec.structs.astuple(each) for each in expected]
    assert (done.model, done.n_rows) == (f"lexicon-{model.version}", len(expected))
    assert {each.duplicate for each in expected} == {False, True}
    assert {each.status for each in expected} == {"published", "corrected", "retracted"}
    assert all(each.assumed_times for each in expected)


def test_its_probabilities_are_those_of_live_bit_for_bit(stored: Stored) -> None:
    stored.rescore(Newer())
    columns = ("article_id", "revision", "symbol", "negative", "neutral", "positive")
    live = {row[:3]: bits(row[3:]) for row in stored.rows("sentiments", columns)}
    again = {row[:3]: bits(row[3:]) for row in stored.rows("rescores", columns)}
    assert live == again


def test_it_is_available_a_scoring_delay_after_the_article_was_in_the_log(stored: Stored) -> None:
    stored.rescore(Newer())
    late = stored.query(
        "SELECT count(*) FROM rescores WHERE available_at <> kafka_ts + interval '1 second' "
        "OR rescored_at < now() - interval '1 hour' OR NOT assumed_times"
    )
    assert late == [(0,)]


def test_twice_adds_nothing_and_old_rows_stay(stored: Stored) -> None:
    before = stored.rows("sentiments")
    first = stored.rescore(Newer())
    once = stored.rows(columns=(*FIELDS, "rescored_at"))
    assert first.n_rows == len(once)
    assert stored.rescore(Newer()).n_rows == 0
    assert stored.rows(columns=(*FIELDS, "rescored_at")) == once
    assert stored.rows("sentiments") == before


def test_a_limit_goes_on_where_it_stopped(stored: Stored) -> None:
    whole = Stored.rescore
    parts = [whole(stored, Newer(), limit=9, batch=4) for _ in range(7)]
    assert parts[-1].n_rows == 0
    sizes = stored.query("SELECT count(DISTINCT article_id) FROM rescores GROUP BY rescored_at")
    assert max(size for (size,) in sizes) <= 9
    expected = [
        decode(SentimentScored, value)
        for records in stored.records
        for _, _, value, _ in stored.said(Newer(), records, live=False)
    ]
    assert stored.rows() == [msgspec.structs.astuple(each) for each in expected]


def test_a_limit_is_not_stuck_on_articles_that_give_no_row(stored: Stored) -> None:
    since = moment(T0 + 3 * SECOND)  # of an article without a symbol
    assert stored.rescore(Newer(), since=since, limit=1).n_rows > 0
    n_calls = 1
    while stored.rescore(Newer(), since=since, limit=1).n_rows:
        n_calls += 1
    found = len(stored.rows())
    assert stored.rescore(Newer(), since=since).n_rows == 0
    assert found == len(stored.rows())
    assert (
        n_calls == stored.query("SELECT count(DISTINCT (article_id, revision)) FROM rescores")[0][0]
    )


def test_killed_it_goes_on_and_ends_as_if_it_had_not_been(stored: Stored) -> None:
    dying = f"""
import os, signal
from tests.integration.training.test_rescore import DAY, FOR_EVER, LONG_AGO, Newer
from stream.sentiment.agent import sentiment_step
from stream.sentiment.judge import Judge
from stream.settings import Settings
from training.rescore import rescore
class Dies(Newer):
    n = 0
    def probabilities(self, texts):
        self.n += 1
        if self.n == 4:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().probabilities(texts)
settings = Settings(database={stored.dsn!r}, namespace={stored.schema!r})
rescore({stored.dsn!r}, {stored.schema!r}, Dies(), since=LONG_AGO, until=FOR_EVER, limit=None,
    batch=5, keep_us=7 * DAY,
    make_step=lambda one: sentiment_step(settings, Judge(one), live=False))
"""
    done = subprocess.run([sys.executable, "-c", dying], cwd=REPO, timeout=60, check=False)
    assert done.returncode == -9
    n_before = len(stored.rows())
    assert n_before > 0
    more = stored.rescore(Newer())
    assert more.n_rows > 0
    expected = [
        decode(SentimentScored, value)
        for records in stored.records
        for _, _, value, _ in stored.said(Newer(), records, live=False)
    ]
    assert stored.rows() == [msgspec.structs.astuple(each) for each in expected]
    assert n_before + more.n_rows == len(expected)


def test_nothing_that_tells_what_was_known_sees_it(stored: Stored) -> None:
    def known() -> list[object]:
        moments = [moment(T0 + s * SECOND) for s in (0, 50, 100_000, 200_000, 86_400 * 3)]
        found: list[object] = []
        with psycopg.connect(
            stored.dsn, options=f"-c search_path={stored.schema},public", row_factory=dict_row
        ) as connection:
            for function in ("sentiment_known_at", "news_known_at"):
                for symbol in ("AAPL", "MSFT", "IBM"):
                    for t in moments:
                        query = f"SELECT * FROM {function}(%s, %s, '30 days')"
                        found.append(connection.execute(query.encode(), [symbol, t]).fetchall())
            found.append(connection.execute("SELECT * FROM article_sentiments").fetchall())
        with open_history(stored.dsn, stored.schema, "ticks") as history:
            found += [main_sentiment_model(history), history.n_events()]
            found += [list(history.inputs(p)["sentiment"]) for p in (0, 1)]
            found += [accounts(history.connection, history.tape)]
        return found

    before = known()
    for version in ("2", "3", "4"):  # so that most scores are new ones
        model = Newer()
        model.version = version
        assert stored.rescore(model).n_rows >= 39
    assert known() == before
    assert any(before)


def test_times_bound_it_and_what_lies_before_still_counts(stored: Stored) -> None:
    since, until = moment(T0 + 2 * SECOND), moment(T0 + 7 * SECOND)
    assert stored.rescore(Newer(), since, until).n_articles == 5
    columns = ("article_id", "revision", "symbol", "status", "duplicate")
    assert stored.rows(columns=columns) == [
        ("c", 1, "AAPL", "published", True),
        ("a", 2, "AAPL", "retracted", False),
        ("a", 2, "IBM", "corrected", False),
        ("b", 3, "AAPL", "retracted", False),
        ("b", 3, "MSFT", "retracted", False),
    ]


def test_what_the_role_refused_is_not_scored(stored: Stored) -> None:
    ((row,),) = stored.query("SELECT count(*) FROM news WHERE id = 'n3'")
    assert row == 1
    with psycopg.connect(stored.dsn, options=f"-c search_path={stored.schema}") as connection:
        connection.execute(
            "INSERT INTO dead_letters SELECT 'sentiment', 'news', \"partition\", \"offset\", "
            "kafka_ts, 'key', NULL, '', 0, kafka_ts, 'd', 0, 0 FROM news WHERE id = 'n3'"
        )
    stored.rescore(Newer())
    found = {article_id for (article_id,) in stored.rows(columns=("article_id",))}
    assert "n2" in found
    assert "n3" not in found


def test_a_text_that_the_model_fails_on_has_no_row_until_it_works(stored: Stored) -> None:
    whole = stored.rescore(Fails())
    assert stored.query("SELECT count(*) FROM rescores WHERE article_id = 'e'") == [(0,)]
    assert whole.n_rows >= 39
    assert stored.rescore(Newer()).n_rows == 1
    assert stored.query("SELECT count(*) FROM rescores WHERE article_id = 'e'") == [(1,)]


def test_without_tables_it_says_what_to_do(database: str, namespace: str) -> None:
    with pytest.raises(Refused, match="run tapewire migrate"):
        rescore(
            database, namespace, Newer(), since=LONG_AGO, until=FOR_EVER, limit=None,
            make_step=lambda one: pytest.fail("no step"), keep_us=DAY,
        )  # fmt: skip


def test_the_verb(stored: Stored) -> None:
    env = {"TAPEWIRE_DATABASE": stored.dsn, "TAPEWIRE_NAMESPACE": stored.schema}
    words = ["sentiment", "rescore", "--since", "2024-03-01", "--json", "--model"]
    done = CliRunner().invoke(app, [*words, "lexicon"], env=env, catch_exceptions=False)
    assert json.loads(done.stdout) == {"model": "lexicon-1", "n_articles": 1, "n_rows": 0}
    with pytest.raises(Refused, match="--model: "):
        CliRunner().invoke(app, [*words, "oracle"], env=env, catch_exceptions=False)
