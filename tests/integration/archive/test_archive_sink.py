"""Every event as SQL sees it, on plain PostgreSQL and on TimescaleDB."""

import base64
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

import msgspec
import psycopg
import pytest
from psycopg.rows import dict_row

from stream import events
from stream.archive.migrate import migrate, sql_files
from stream.archive.sink import Behind, Chunk, Sink
from stream.errors import Refused, Unavailable
from tests.fix_namespace import drop_schema

pytestmark = pytest.mark.stack

AT = datetime(2024, 5, 1, 14, 30, 0, 123456, tzinfo=UTC)
SCHEMA = "archive_sink"
KAFKA_MS = 1_714_573_800_500


class Record(NamedTuple):
    offset: int
    value: bytes | None
    key: bytes | None = b"AAPL"
    partition: int = 0
    timestamp: int = KAFKA_MS


def bar(kind: Any, **more: Any) -> Any:
    span = {"start": AT, "end": AT + timedelta(minutes=1)}
    prices = {"open": 10.1, "high": 12.0, "low": 9.9, "close": 11.0, "volume": 1e6}
    return kind(symbol="AAPL", **span, **prices, **more)


def signal(signal_id: str = "s1", **changes: Any) -> events.Signal:
    known: dict[str, Any] = {
        "signal_id": signal_id,
        "signal_key": "k1",
        "revision": 1,
        "symbol": "AAPL",
        "as_of": AT,
        "valid_until": AT + timedelta(minutes=30),
        "horizon": "30m",
        "trigger": "news",
        "trigger_ref": "article-1",
        "direction": "BULLISH",
        "probabilities": events.Probabilities(bearish=0.1, neutral=0.2, bullish=0.7),
        "confidence": 0.7,
        "score": 0.6,
        "expected_return_bps": -3.25,
        "actionable": False,
        "abstain_reason": "model missing",
        "model": events.ModelRef(name="rules", version="1", role="rules"),
        "feature_set": "intraday",
        "feature_set_version": 1,
        "policy_id": "p1",
        "build": "b1",
        "set_off_by": "ticks",
        "features": {"return_log_5m": 0.1, "sentiment_mean_1h": None, "zero": 0.0},
        "reasons": ("One, with a comma", 'two "quoted"'),
        "evidence": ("article-1",),
        "sentiment_models": ("lexicon-1", "minilm-1"),
        "positions": {"ticks": 12, "sentiment": 3},
        "freshness": events.Freshness(last_tick_age_s=1.5),
        "emitted_at": AT + timedelta(seconds=1),
    }
    return events.Signal(**known | changes)


ROUND_TRIPS: list[tuple[str, str, msgspec.Struct]] = [
    (
        "news",
        "news",
        events.NewsArticle(
            id="article-1", source="wire", published_at=AT, headline="Größe 株 'quoted'",
            received_at=AT + timedelta(seconds=1), body="line\nline\t\\", url="https://example.org",
            symbols=("AAPL", "BRK.B"), lang="en",
        ),
    ),
    (
        "ticks",
        "ticks",
        events.Tick(
            symbol="AAPL", ts=AT, price=170.123456789, size=1e-8, bid=170.1, ask_size=3.0,
            conditions="@ I", exchange="V", regular=False, seq=(1 << 63) - 1,
        ),
    ),
    ("bars", "bars", bar(events.Bar, adj_close=5.5, n_trades=0)),
    ("panes", "bars", bar(events.PaneClosed, notional=1.1e7, n_trades=42, signed_volume=-7.0)),
    (
        "context",
        "context",
        events.Observation(symbol="*", source="macro", metric="vix", value=-0.0, ts=AT),
    ),
    (
        "actions",
        "actions",
        events.CorporateAction(
            symbol="AAPL", kind="split", ex_date=date(1987, 6, 16), value=4.0, announced_at=AT
        ),
    ),
    (
        "instruments",
        "instruments",
        events.Instrument(
            symbol="AAPL", company="Apple Inc.", aliases=("Apple", "iPhone {maker}"),
            sector="tech", listed_from=date(1980, 12, 12),
        ),
    ),
    (
        "sentiment",
        "sentiments",
        events.SentimentScored(
            article_id="article-1", revision=2, status="corrected", symbol="AAPL", source="wire",
            published_at=AT, available_at=AT, scored_at=AT, negative=0.1, neutral=0.2, positive=0.7,
            relevance=1.0, model="lexicon-1", text_hash="abc", headline="h", n_chars=5,
            duplicate=True, sketch=bytes(range(128)),
        ),
    ),
    ("signals", "signals", signal()),
    (
        "signal-explanations",
        "signal_explanations",
        events.SignalExplained(
            signal_id="s1", signal_key="k1", revision=1, symbol="AAPL", as_of=AT,
            model_version="v1", base=-0.25, log_odds=0.125, contributions=(
                events.Contribution(feature="return_log_5m", value=0.1, log_odds=0.5),
                events.Contribution(feature="sentiment_mean_1h", value=None, log_odds=-0.125),
            ),
        ),
    ),
    (
        "late-events",
        "late_events",
        events.LateEvent(
            topic="t.ticks", partition=1, offset=1 << 40, symbol="AAPL", ts=AT, late_by_s=3.5,
            reason="its pane is closed", payload='{"headline":"\\u0000"}',
        ),
    ),
    (
        "dead-letters",
        "dead_letters",
        events.DeadLetter(
            role="score", topic="t.ticks", partition=1, offset=9, kafka_ts=AT, reason="no JSON",
            key=b"\xff\0", payload=b"\0\1\2", n_bytes=3,
        ),
    ),
    (
        "ticks",
        "clock",
        events.ClockTick(kind="close", at=AT, calendar="XNYS", session=date(2024, 5, 1)),
    ),
]  # fmt: skip
# Event field -> column, where the names differ.
RENAMED = {
    "bars": {"start": "bar_start", "end": "bar_end"},
    "late_events": {"topic": "source_topic", "partition": "source_partition",
                    "offset": "source_offset"},
    "dead_letters": {"topic": "source_topic", "partition": "source_partition",
                     "offset": "source_offset", "kafka_ts": "source_kafka_ts"},
}  # fmt: skip


@pytest.fixture
def sink(database: str) -> Iterator[Sink]:
    drop_schema(database, SCHEMA)
    migrate(database, SCHEMA)
    sink = Sink(database, SCHEMA, read_elsewhere={"news"})
    yield sink
    sink.close()
    drop_schema(database, SCHEMA)


def query(database: str, text: str) -> list[dict[str, Any]]:
    options = f"-c search_path={SCHEMA},public -c timezone=UTC"
    with psycopg.connect(database, options=options, row_factory=dict_row) as connection:
        return connection.execute(text).fetchall()  # type: ignore[arg-type]


def chunk(topic: str, *values: bytes | None, first: int = 0, topic_id: str = "id") -> Chunk:
    records = [Record(first + i, value) for i, value in enumerate(values)]
    return Chunk(topic, topic_id, 0, records, first, first + len(records))


def columns_of(table: str, event: msgspec.Struct) -> dict[str, Any]:
    """What SQL should give back for `event`."""
    plain = msgspec.structs.asdict(event)
    if isinstance(event, events.Signal):
        p, model, fresh = (plain.pop(n) for n in ("probabilities", "model", "freshness"))
        plain |= {f"p_{n}": v for n, v in msgspec.structs.asdict(p).items()}
        plain |= {f"model_{n}": v for n, v in msgspec.structs.asdict(model).items()}
        plain |= msgspec.structs.asdict(fresh)
        plain["features"] = list(event.features.values())
        plain["features_by_name"] = None
    if table == "bars":
        plain["origin"] = "bar" if isinstance(event, events.Bar) else "pane"
    if isinstance(event, events.SignalExplained):
        plain["contributions"] = msgspec.to_builtins(event.contributions)
    names = RENAMED.get(table, {})
    lists = {k: list(v) if isinstance(v, tuple) else v for k, v in plain.items()}
    return {names.get(name, name): value for name, value in lists.items()}


def test_migrating_again_applies_nothing(database: str, sink: Sink) -> None:
    assert migrate(database, SCHEMA) == []
    assert len(query(database, "SELECT FROM schema_migrations")) == len(sql_files())


def test_each_file_can_run_twice(database: str, sink: Sink) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(f"UPDATE {SCHEMA}.schema_migrations SET sha256 = 'older'")
    assert migrate(database, SCHEMA) == [name for name, _ in sql_files()]


def test_tables_are_hypertables_where_the_server_has_timescaledb(database: str, sink: Sink) -> None:
    if not query(database, "SELECT FROM pg_extension WHERE extname = 'timescaledb'"):
        assert query(database, f"SELECT FROM pg_tables WHERE schemaname = '{SCHEMA}'")
        return
    found = query(
        database,
        "SELECT hypertable_name AS name FROM timescaledb_information.hypertables "
        f"WHERE hypertable_schema = '{SCHEMA}'",
    )
    assert {row["name"] for row in found} == {
        "ticks", "bars", "signals", "signal_explanations", "shadow_signals", "outcomes", "news",
        "sentiments", "context", "clock", "late_events", "dead_letters", "pane_ends",
        "market_panes",
    }  # fmt: skip


def test_a_server_that_is_away_is_named() -> None:
    with pytest.raises(Unavailable, match="TAPEWIRE_DATABASE"):
        migrate("host=127.0.0.1 port=1", SCHEMA)
    with pytest.raises(Unavailable, match="TAPEWIRE_DATABASE"):
        Sink("host=127.0.0.1 port=1", SCHEMA).write([chunk("ticks", b"")])


def test_a_schema_without_tables_is_refused(database: str) -> None:
    with pytest.raises(Refused, match="tapewire migrate"):
        Sink(database, "nowhere").write([chunk("ticks", b"")])


@pytest.mark.parametrize(("topic", "table", "event"), ROUND_TRIPS, ids=lambda v: str(v)[:20])
def test_an_event_comes_back_from_sql_as_it_was(
    database: str, sink: Sink, topic: str, table: str, event: msgspec.Struct
) -> None:
    key = b"*" if table == "clock" else b"AAPL"
    record = Record(5, events.encode(event), key)
    counts = sink.write([Chunk(topic, "id", 0, [record], 0, 6)])
    assert +counts == {table: 1}
    (row,) = query(database, f"SELECT * FROM {table}")
    place = {n: row.pop(n) for n in ("kafka_ts", "topic_id", "partition", "offset")}
    assert place == {
        "kafka_ts": events.moment(KAFKA_MS * 1000), "topic_id": "id", "partition": 0, "offset": 5
    }  # fmt: skip
    expected = columns_of(table, event)
    assert {name: row[name] for name in expected} == expected
    assert not any(row[name] for name in row.keys() - expected.keys())


def test_contributions_stand_beside_their_signal_the_largest_first(
    database: str, sink: Sink
) -> None:
    for topic, table, event in ROUND_TRIPS:
        if table in ("signals", "signal_explanations"):
            sink.write([chunk(topic, events.encode(event))])
    rows = query(database, "SELECT * FROM signal_contributions ORDER BY rank")
    assert [(row["direction"], row["feature"], row["value"], row["log_odds"]) for row in rows] == [
        ("BULLISH", "return_log_5m", 0.1, 0.5),
        ("BULLISH", "sentiment_mean_1h", None, -0.125),
    ]
    assert sum((row["log_odds"] for row in rows), rows[0]["base"]) == rows[0]["sum_log_odds"]


def test_writing_again_changes_nothing(database: str, sink: Sink) -> None:
    chunks = [chunk(topic, events.encode(event)) for topic, table, event in ROUND_TRIPS[:12]]
    first, again = sink.write(chunks), sink.write(chunks)
    assert first["ticks"] == first["signals"] == 1
    assert not +again


def test_ticks_that_another_process_wrote_in_part_are_completed(database: str, sink: Sink) -> None:
    tick = events.encode(ROUND_TRIPS[1][2])
    sink.write([chunk("ticks", tick, tick)])
    assert +sink.write([chunk("ticks", *4 * [tick])]) == {"ticks": 2}
    rows = query(database, 'SELECT "offset" FROM ticks ORDER BY 1')
    assert [row["offset"] for row in rows] == [0, 1, 2, 3]


def test_positions_move_with_the_rows_and_never_back(sink: Sink) -> None:
    tick = events.encode(ROUND_TRIPS[1][2])
    sink.write([chunk("ticks", tick, tick, tick)])
    sink.write([chunk("ticks", tick, first=1), chunk("news", b"?", topic_id="other")])
    assert sink.positions(["id", "other", "new"]) == {("id", 0): 3, ("other", 0): 1}


def test_a_chunk_that_would_leave_a_gap_is_not_written(database: str, sink: Sink) -> None:
    tick = events.encode(ROUND_TRIPS[1][2])
    sink.write([chunk("ticks", tick, tick)])
    sink.close()
    with psycopg.connect(database) as connection:
        connection.execute(f"UPDATE {SCHEMA}.positions SET next_offset = 1")
    with pytest.raises(Behind, match="expected the database at 2 or later, got 1"):
        sink.write([chunk("ticks", tick, first=2)])
    assert sink.positions(["id"]) == {("id", 0): 1}
    sink.write([chunk("ticks", tick, first=1), chunk("ticks", tick, first=2)])
    assert sink.positions(["id"]) == {("id", 0): 3}


def test_every_record_of_an_instrument_is_kept(database: str, sink: Sink) -> None:
    named = [events.encode(events.Instrument(symbol="AAPL", company=c)) for c in ("a", "b", "c")]
    sink.write([chunk("instruments", named[0], named[1])])
    sink.write([chunk("instruments", named[2], first=2)])
    sink.write([chunk("instruments", named[0])])
    kept = query(database, "SELECT company FROM instruments ORDER BY 1")
    assert [row["company"] for row in kept] == ["a", "b", "c"]
    assert query(database, "SELECT company FROM latest_instruments") == [{"company": "c"}]


def test_garbage_is_kept_and_its_neighbours_are_written(database: str, sink: Sink) -> None:
    tick = events.encode(ROUND_TRIPS[1][2])
    chunks = [chunk("ticks", b"{", tick, None, b"\xff", tick), chunk("news", b"{", topic_id="n")]
    assert sink.write(chunks) == {"rejected": 4, "ticks": 2, "dead_letters": 3}
    assert +sink.write(chunks) == {"rejected": 4}  # a second time there is nothing new
    letters = query(database, "SELECT * FROM dead_letters ORDER BY source_offset")
    places = [(row["role"], row["source_topic"], row["source_offset"]) for row in letters]
    assert places == [("archive", "ticks", offset) for offset in (0, 2, 3)]
    assert [bytes(row["payload"]) for row in letters] == [b"{", b"", b"\xff"]
    assert "no value" in letters[1]["reason"]
    offsets = query(database, 'SELECT "offset" FROM ticks ORDER BY 1')
    assert [row["offset"] for row in offsets] == [1, 4]


def test_a_row_that_the_server_refuses_does_not_take_others_with_it(
    database: str, sink: Sink
) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(f"ALTER TABLE {SCHEMA}.ticks ADD CHECK (price < 1000)")
    prices = [1.0, 2.0, 5000.0, 3.0, 4.0]
    ticks = [events.encode(events.Tick(symbol="A", ts=AT, price=p, size=1)) for p in prices]
    counts = sink.write([chunk("ticks", *ticks), chunk("news", b"{", topic_id="other")])
    assert counts == {"rejected": 2, "ticks": 4, "dead_letters": 1}
    (letter,) = query(database, "SELECT * FROM dead_letters")
    assert bytes(letter["payload"]) == ticks[2]
    assert "price_check" in letter["reason"]
    assert sink.positions(["id", "other"]) == {("id", 0): 5, ("other", 0): 1}


def test_signals_carry_their_features_by_name(database: str, sink: Sink) -> None:
    odd = signal("s2", features={"zero": 1.0, "new": 2.0}, as_of=AT + timedelta(seconds=1))
    sink.write([chunk("signals", events.encode(signal()), events.encode(odd))])
    rows = query(database, "SELECT signal_id, features FROM signal_features ORDER BY 1")
    assert rows == [
        {"signal_id": "s1", "features": signal().features},
        {"signal_id": "s2", "features": odd.features},
    ]
    names = query(database, "SELECT names FROM feature_sets")
    assert names == [{"names": list(signal().features)}]


def test_the_latest_signal_of_each_symbol(database: str, sink: Sink) -> None:
    given = [("A", 0), ("B", 5), ("A", 60), ("C", 1), ("B", 4)]
    signals = [
        signal(f"s{i}", symbol=symbol, as_of=AT + timedelta(days=days))
        for i, (symbol, days) in enumerate(given)
    ]
    sink.write([chunk("signals", *map(events.encode, signals))])
    rows = query(database, "SELECT symbol, signal_id FROM latest_signals ORDER BY 1")
    assert [tuple(row.values()) for row in rows] == [("A", "s2"), ("B", "s1"), ("C", "s3")]
    (rate,) = query(database, "SELECT sum(n_signals) AS n FROM signal_rate")
    assert rate["n"] == len(given)


def test_far_times_are_kept(database: str, sink: Sink) -> None:
    far = [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)]
    ticks = [events.encode(events.Tick(symbol="A", ts=t, price=1, size=1)) for t in far]
    assert sink.write([chunk("ticks", *ticks)])["ticks"] == 2
    assert [r["ts"] for r in query(database, "SELECT ts FROM ticks ORDER BY 1")] == far


def test_a_dead_letter_keeps_its_bytes(database: str, sink: Sink) -> None:
    raw = events.encode(ROUND_TRIPS[11][2])
    assert base64.b64encode(b"\0\1\2") in raw
    sink.write([chunk("dead-letters", raw)])
    (row,) = query(database, "SELECT key, payload FROM dead_letters")
    assert (row["key"], row["payload"]) == (b"\xff\0", b"\0\1\2")


def test_a_database_that_takes_no_writes_is_waited_for(database: str, sink: Sink) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS standby")
        connection.execute("CREATE ROLE standby LOGIN SUPERUSER")
        connection.execute("ALTER ROLE standby SET default_transaction_read_only = on")
        waiting = Sink(psycopg.conninfo.make_conninfo(database, user="standby"), SCHEMA)
        try:
            with pytest.raises(Unavailable, match="takes no writes"):
                waiting.write([chunk("ticks", events.encode(ROUND_TRIPS[1][2]))])
            connection.execute("ALTER ROLE standby RESET default_transaction_read_only")
            assert waiting.write([chunk("ticks", events.encode(ROUND_TRIPS[1][2]))])["ticks"] == 1
        finally:
            waiting.close()
            left = "SELECT FROM pg_stat_activity WHERE usename = 'standby'"
            while connection.execute(left).fetchone() is not None:
                time.sleep(0.05)  # its temporary tables go with its session
            connection.execute("DROP ROLE standby")
