"""Letters found by each field, and steps that are taken once, on a real database."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any, NamedTuple

import psycopg
import pytest
from psycopg import sql

from stream.archive.migrate import migrate
from stream.archive.sink import Chunk, Sink
from stream.deadletters.letter import Letter
from stream.deadletters.replay import replay
from stream.deadletters.source import Source
from stream.deadletters.store import Letters, Wanted, open_letters
from stream.embedded.broker import start_broker
from stream.errors import Refused, Unavailable
from stream.events import DeadLetter, encode
from stream.settings import Settings

SCHEMA = "dead_letters_in_sql"
T0 = datetime(2024, 3, 5, 15, 0, tzinfo=UTC)
N_OPERATORS = 8


class Record(NamedTuple):
    offset: int
    value: bytes
    timestamp: int
    partition: int = 1
    key: bytes | None = b"place"


def archive(database: str, *given: dict[str, Any], first: int = 0, topic_id: str = "id") -> None:
    """Store letters, a minute apart, as the archive does: 1:0, 1:1, ..."""
    records = []
    for i, changes in enumerate(given, first):
        fields = {
            "role": "score", "topic": "ticks", "partition": 0, "offset": i, "kafka_ts": T0,
            "reason": "malformed", "key": b"AAPL", "payload": b"{}", "n_bytes": 2,
        }  # fmt: skip
        at = int((T0 + timedelta(minutes=i)).timestamp() * 1000)
        records.append(Record(i, encode(DeadLetter(**fields | changes)), at))
    sink = Sink(database, SCHEMA)
    sink.write([Chunk("dead-letters", topic_id, 1, records, first, first + len(records))])
    sink.close()


@pytest.fixture
def schema(database: str) -> Iterator[str]:
    drop(database)
    migrate(database, SCHEMA)
    yield database
    drop(database)


def drop(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(SCHEMA))
        )


@pytest.fixture
def letters(schema: str) -> Iterator[Letters]:
    with open_letters(schema, SCHEMA) as found:
        yield found


def names(letters: Letters, **wanted: Any) -> list[str]:
    found, total = letters.newest(Wanted(**wanted), None)
    assert total == len(found)
    return [letter.name for letter in found]


def begin(letters: Letters, step: Any, *chosen: Letter, force: bool = False) -> dict[str, int]:
    return letters.begin(chosen, step, actor="ann", reason="", force=force)[0]


FILTERS: list[tuple[dict[str, Any], list[str]]] = [
    ({}, ["1:3", "1:2", "1:1", "1:0"]),
    ({"role": "sentiment"}, ["1:1"]),
    ({"topic": "news"}, ["1:1"]),
    ({"reason": "PRICE"}, ["1:2"]),
    ({"reason": "100%_"}, ["1:3"]),
    ({"reason": "%"}, ["1:3"]),
    ({"since": T0 + timedelta(minutes=2)}, ["1:3", "1:2"]),
    ({"until": T0 + timedelta(minutes=2)}, ["1:1", "1:0"]),
    ({"since": T0, "until": T0 + timedelta(minutes=3), "topic": "ticks"}, ["1:2", "1:0"]),
    ({"fate": "dropped"}, ["1:4"]),
    ({"fate": "replaying"}, ["1:3"]),
    ({"fate": "replayed"}, ["1:5"]),
    ({"fate": "all"}, ["1:5", "1:4", "1:3", "1:2", "1:1", "1:0"]),
    ({"fate": "all", "reason": "'; DROP TABLE dead_letters --"}, []),
]


def test_letters_are_found_by_each_field_newest_first(letters: Letters, schema: str) -> None:
    archive(
        schema,
        {},
        {"role": "sentiment", "topic": "news", "reason": "`headline`: expected text"},
        {"reason": "`price`: expected a number above 0, got -1.5"},
        {"reason": "100%_ wrong"},
        {},
        {"reason": "`price`: expected a number above 0, got -27"},
    )
    begin(letters, "replaying", letters.find("1:3"))
    begin(letters, "dropped", letters.find("1:4"))
    done = letters.find("1:5")
    letters.settle(done, begin(letters, "replaying", done)["1:5"], "replayed", to=(0, 9))
    for wanted, expected in FILTERS:
        assert names(letters, **wanted) == expected, wanted
    found, total = letters.newest(Wanted(), 3)
    assert ([each.name for each in found], total) == (["1:3", "1:2", "1:1"], 4)

    groups = letters.count_by(Wanted(fate="all"), ["topic", "reason"])
    assert {(g["topic"], g["reason"]): g["n"] for g in groups} == {
        ("ticks", "malformed"): 2,
        ("ticks", "`price`: expected a number above #, got -#"): 2,
        ("ticks", "#%_ wrong"): 1,
        ("news", "`headline`: expected text"): 1,
    }
    by_role = letters.count_by(Wanted(), ["role"])
    assert [(g["role"], g["n"], g["last"]) for g in by_role] == [
        ("score", 3, T0 + timedelta(minutes=3)),
        ("sentiment", 1, T0 + timedelta(minutes=1)),
    ]


@pytest.mark.parametrize("step", ["replaying", "dropped"])
def test_of_operators_at_once_one_wins(letters: Letters, schema: str, step: str) -> None:
    archive(schema, {}, {})
    pair = [letters.find("1:0"), letters.find("1:1")]
    together = Barrier(N_OPERATORS)

    def operate(number: int) -> int:
        with open_letters(schema, SCHEMA) as own:
            together.wait()
            return len(begin(own, step, *pair[:: 1 if number % 2 else -1]))

    with ThreadPoolExecutor(N_OPERATORS) as operators:
        assert sorted(operators.map(operate, range(N_OPERATORS))) == [0] * 7 + [2]
    assert [len(letters.history(each)) for each in pair] == [1, 1]


def test_two_letters_of_one_record_send_it_once(letters: Letters, schema: str) -> None:
    same = {"topic": "ticks", "partition": 3, "offset": 77}
    archive(schema, same, {**same, "role": "sentiment"}, {"offset": 77})
    first, second, other = (letters.find(f"1:{i}") for i in range(3))
    begun, refused = letters.begin(
        [first, second, other], "replaying", actor="ann", reason="", force=False
    )
    assert set(begun) == {"1:0", "1:2"}
    assert "its record ticks:3:77 was replayed before, as letter 1:0 by ann" in refused["1:1"]
    letters.settle(first, begun["1:0"], "failed", error="too large")
    assert set(begin(letters, "replaying", second)) == {"1:1"}
    assert begin(letters, "replaying", first) == {}
    assert begin(letters, "replaying", first, force=True) == {"1:0": 2}


def test_a_fate_stays_until_it_is_forced(letters: Letters, schema: str) -> None:
    archive(schema, {})
    letter = letters.find("1:0")
    number = begin(letters, "replaying", letter)["1:0"]
    letters.settle(letter, number, "failed", error="no leader")
    assert letters.find("1:0").fate == "open"
    assert begin(letters, "dropped", letter) == {"1:0": 2}
    for step in ("replaying", "dropped"):
        assert begin(letters, step, letter) == {}
    assert begin(letters, "replaying", letter, force=True) == {"1:0": 3}
    letters.settle(letter, 3, "failed", error="too large")
    assert letters.find("1:0").fate == "dropped"
    assert [step.error for step in letters.history(letter)] == ["no leader", None, "too large"]
    assert letters.payload(letter) == b"{}"


def test_letters_of_a_topic_made_anew_keep_names_of_their_own(
    letters: Letters, schema: str
) -> None:
    archive(schema, {"reason": "old"}, topic_id="before")
    assert names(letters) == ["1:0"]
    archive(schema, {"reason": "new"}, topic_id="after")
    assert sorted(names(letters)) == ["1:0", "1:0@before"]
    assert letters.find("1:0").reason == "new"
    begin(letters, "dropped", letters.find("1:0@before"))
    assert names(letters) == ["1:0"]
    with pytest.raises(Refused, match=r"letter 1:1: expected one that `tapewire dlq list"):
        letters.find("1:1")


def test_a_database_that_is_away_or_not_migrated_is_said(database: str) -> None:
    with pytest.raises(Unavailable, match="TAPEWIRE_DATABASE"):
        with open_letters("host=127.0.0.1 port=1", SCHEMA):
            pass
    with pytest.raises(Refused, match="tapewire migrate"):
        with open_letters(database, "nowhere") as letters:
            letters.newest(Wanted(), 1)


def test_a_broker_that_goes_while_it_is_sent_to_leaves_the_letter_in_doubt(
    letters: Letters, schema: str
) -> None:
    archive(schema, {})
    with start_broker() as address:
        source = Source(Settings(broker=address, partitions=1), delivery_s=1.0)
        source.check("ticks")
    (left,) = replay(letters, source, [letters.find("1:0")], actor="ann", force=False)
    source.close()
    assert left.to is None
    assert "in doubt" in left.why
    (step,) = letters.history(letters.find("1:0"))
    assert (step.fate, letters.find("1:0").fate) == ("replaying", "replaying")
    assert "timed out" in str(step.error)
    assert names(letters) == ["1:0"]
