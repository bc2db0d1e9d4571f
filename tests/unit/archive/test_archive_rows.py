from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.archive.sink import Chunk, halves
from stream.archive.tables import ARCHIVED, TABLES, Row, read_rows
from stream.archive.wire import floats, texts
from stream.events import TOPICS, ClockTick, NewsArticle, Tick, encode

AT = datetime(2024, 5, 1, 14, 30, tzinfo=UTC)


class Record(NamedTuple):
    offset: int
    value: bytes | None
    key: bytes | None = b"AAPL"
    partition: int = 3
    timestamp: int = 946_684_800_001


def read(topic: str, *records: Record) -> tuple[dict[str, list[Row]], int]:
    rows: dict[str, list[Row]] = {}
    n_rejected = read_rows(topic, "id", records, lambda _, names: names, rows)
    return rows, n_rejected


def tick(**changes: Any) -> bytes:
    known: dict[str, Any] = {"symbol": "AAPL", "ts": AT, "price": 1.5, "size": 2}
    return encode(Tick(**known | changes))


def named(table: str, row: Row) -> dict[str, Any]:
    return dict(zip(TABLES[table].columns, row, strict=True))


def test_every_topic_but_models_is_archived() -> None:
    assert set(ARCHIVED) == set(TOPICS) - {"models"}


def test_a_row_ends_with_its_records_place() -> None:
    rows, n_rejected = read("ticks", Record(7, tick()))
    assert n_rejected == 0
    assert rows["ticks"][0][-4:] == (1000, "id", 3, 7)


def test_clock_ticks_on_the_tape_go_to_their_own_table() -> None:
    beat = Record(1, encode(ClockTick(kind="beat", at=AT)), key=b"*")
    for tape in ("ticks", "bars"):
        rows, n_rejected = read(tape, beat)
        assert n_rejected == 0
        assert [len(rows[t]) for t in (tape, "clock")] == [0, 1]


@pytest.mark.parametrize(
    "raw",
    [
        None,
        b"",
        b"\xff\xfe",
        b'{"symbol":',
        b"[" * 100_000,
        b"[]",
        b'{"symbol":"AAPL"}',
        tick().replace(b"1.5", b"NaN"),
        tick().replace(b"1.5", b"-1"),
        tick().replace(b"Z", b""),
        msgspec.json.encode({"symbol": "A", "ts": AT, "price": 1, "size": 1, "seq": 1 << 63}),
        tick().replace(b'"conditions":""', b'"conditions":"\xff"'),
    ],
)
def test_an_unreadable_record_is_counted_and_the_next_one_read(raw: bytes | None) -> None:
    rows, n_rejected = read("ticks", Record(1, raw), Record(2, tick()))
    assert n_rejected == 1
    assert [row[-1] for row in rows["ticks"]] == [2]


@given(st.sampled_from(ARCHIVED), st.binary(max_size=200), st.sampled_from([b"*", b"A", None]))
def test_no_bytes_stop_the_reading(topic: str, raw: bytes, key: bytes | None) -> None:
    rows, n_rejected = read(topic, Record(0, raw, key))
    assert n_rejected + sum(map(len, rows.values())) == 1


def test_nul_becomes_a_character_that_the_database_can_hold() -> None:
    article = NewsArticle(id="a", source="s", published_at=AT, headline="a\0b", body="c:\\u0000\0")
    rows, _ = read("news", Record(0, encode(article)))
    row = named("news", rows["news"][0])
    assert row["headline"] == "a\ufffdb"
    assert row["body"] == "c:\\u0000\ufffd"


def test_each_row_has_a_value_for_each_column() -> None:
    for name, table in TABLES.items():
        assert len(table.columns) == len(table.types), name


def test_arrays_are_written_as_postgres_reads_them() -> None:
    assert texts([]) == bytes(8) + b"\0\0\0\x19"
    assert floats([None])[-4:] == b"\xff\xff\xff\xff"


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5)), min_size=1, max_size=8))
def test_halves_keep_the_order_and_never_move_a_position_past_its_records(
    sizes: list[tuple[int, int]],
) -> None:
    ends = [0, 0, 0]
    chunks = []
    for partition, n in sizes:
        start = ends[partition]
        ends[partition] += n + 1  # a gap after each chunk, as a transaction's marker leaves
        records = [Record(start + i, b"", partition=partition) for i in range(n)]
        chunks.append(Chunk("ticks", "id", partition, records, start, ends[partition]))
    n_records = sum(len(chunk.records) for chunk in chunks)
    if n_records < 2:
        return
    first, second = halves(chunks)
    assert sum(len(chunk.records) for chunk in first) == n_records // 2
    for partition in range(3):
        own = [c for c in (*first, *second) if c.partition == partition]
        offsets = [r.offset for c in own for r in c.records]
        assert offsets == [r.offset for c in chunks if c.partition == partition for r in c.records]
        left = [r.offset for c in second if c.partition == partition for r in c.records]
        for chunk in first:
            if chunk.partition == partition and left:
                assert chunk.next_offset <= left[0]
    assert max(c.next_offset for c in (*first, *second)) == max(c.next_offset for c in chunks)


def test_a_time_before_2000_is_negative() -> None:
    old = datetime(1999, 12, 31, 23, 59, 59, tzinfo=UTC) + timedelta(microseconds=999_999)
    rows, _ = read("ticks", Record(0, tick(ts=old)))
    assert named("ticks", rows["ticks"][0])["ts"] == -1
