"""`sql/006_storage.sql` on plain PostgreSQL and both editions of TimescaleDB."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from stream.archive.migrate import migrate, sql_files
from tests.integration.sql.rows import MINUTE, Row, call, insert, score, signal, tick

pytestmark = pytest.mark.stack

DAY = timedelta(days=1)
NOW = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
# What the archive's sink runs once rows that are there in part lie aside.
ARCHIVE = "INSERT INTO ticks SELECT * FROM aside ON CONFLICT DO NOTHING"


def one(db: psycopg.Connection, query: str, *arguments: Any) -> Any:
    row = db.execute(query.encode(), arguments).fetchone()
    return None if row is None else row[0]


def edition(db: psycopg.Connection) -> str:
    return str(one(db, "SELECT coalesce(current_setting('timescaledb.license', true), 'plain')"))


def run_jobs(db: psycopg.Connection, schema: str, name: str, table: str) -> None:
    """Run the policies of a table now, as the background workers would later."""
    jobs = db.execute(
        "SELECT job_id FROM timescaledb_information.jobs "
        "WHERE proc_name LIKE %s AND hypertable_schema = %s AND hypertable_name = %s",
        [f"policy_{name}%", schema, table],
    ).fetchall()
    assert len(jobs) == 1
    db.execute(f"CALL public.run_job({jobs[0][0]})".encode())


def refresh(db: psycopg.Connection, since: datetime) -> None:
    """Refresh bars_1m at once; its policy's first run is slow in WebAssembly."""
    db.execute("CALL refresh_continuous_aggregate('bars_1m', %s, %s)", [since, NOW])


def copy(db: psycopg.Connection, row: Row) -> None:
    """What the archive's sink does with a tick first; from a file, for want of COPY's protocol."""
    db.execute("CREATE TEMP TABLE lines (LIKE ticks)")
    insert(db, "lines", [row])
    db.execute("COPY lines TO '/tmp/lines'")
    db.execute("DROP TABLE lines")
    db.execute("COPY ticks FROM '/tmp/lines'")


def some_ticks(days: list[float]) -> list[Row]:
    """Ten trades a minute apart on each of the days before now."""
    return [
        tick("A", NOW - day * DAY + i * MINUTE, 10.0 + i, size=i + 1.0)
        for day in days
        for i in range(10)
    ]


def answers(db: psycopg.Connection) -> list[object]:
    """What the functions say of the last 40 days, several times a day."""
    moments = [NOW - h * timedelta(hours=7) for h in range(140)]
    found: list[object] = [call(db, "asof_price", "A", t) for t in moments]
    found += [call(db, "sentiment_known_at", "A", t, 2 * DAY) for t in moments]
    found += [call(db, "signals_known_at", t) for t in moments]
    found.append(call(db, "bars", "A", MINUTE, NOW - 50 * DAY, NOW + DAY))
    found.append(sorted(map(str, call(db, "signals_with_returns", 5 * MINUTE))))
    return found


def test_what_the_server_cannot_is_left_out_with_a_notice(db: psycopg.Connection) -> None:
    notices: list[str | None] = []
    db.add_notice_handler(lambda notice: notices.append(notice.sqlstate))
    db.execute(dict(sql_files())["006_storage.sql"].encode())
    has_aggregates = one(db, "SELECT to_regclass('bars_1m') IS NOT NULL")
    assert has_aggregates == (edition(db) == "timescale")
    assert ("0A000" in notices) == (edition(db) != "timescale")


def test_policies_are_there_and_none_drops(tsl_db: psycopg.Connection, namespace: str) -> None:
    rows = tsl_db.execute(
        "SELECT hypertable_name, proc_name, config ->> 'compress_after' "
        "FROM timescaledb_information.jobs WHERE hypertable_schema = %s ORDER BY 1",
        [namespace],
    ).fetchall()
    explained = ("signals", "signal_explanations")
    compressed = dict.fromkeys(("bars", "clock", "sentiments", *explained), "30 days")
    compressed["ticks"] = "7 days"
    refreshed = dict.fromkeys(("bars_1m", "bars_1h"), "policy_refresh_continuous_aggregate")
    assert {name: after for name, kind, after in rows if kind == "policy_compression"} == compressed
    assert {name: kind for name, kind, after in rows if after is None} == refreshed


def test_compressed_chunks_answer_alike_and_take_late_rows(
    tsl_db: psycopg.Connection, namespace: str
) -> None:
    ticks = some_ticks([40, 20, 9, 3, 1])
    insert(tsl_db, "ticks", ticks)
    insert(tsl_db, "sentiments", [score(f"a{d}", "A", NOW - d * DAY) for d in range(0, 100, 7)])
    insert(tsl_db, "signals", [signal(f"k{d}", "A", NOW - d * DAY) for d in range(0, 100, 7)])
    before = answers(tsl_db)
    for table in ("ticks", "sentiments", "signals"):
        run_jobs(tsl_db, namespace, "compression", table)
        states = tsl_db.execute(
            "SELECT is_compressed FROM timescaledb_information.chunks "
            "WHERE hypertable_schema = %s AND hypertable_name = %s",
            [namespace, table],
        ).fetchall()
        assert {state for (state,) in states} == {True, False}
    assert answers(tsl_db) == before

    late = tick("A", NOW - 40 * DAY + 4.5 * MINUTE, 99.0)
    tsl_db.execute("CREATE TEMP TABLE aside (LIKE ticks)")
    insert(tsl_db, "aside", [late, *ticks])
    assert [tsl_db.execute(ARCHIVE.encode()).rowcount for _ in range(2)] == [1, 0]
    assert one(tsl_db, "SELECT count(*) FROM ticks") == len(ticks) + 1
    assert call(tsl_db, "asof_price", "A", late["ts"] + MINUTE / 4)[0]["price"] == 99.0

    straight = tick("A", NOW - 40 * DAY + 5.5 * MINUTE, 98.0)
    copy(tsl_db, straight)
    assert one(tsl_db, "SELECT count(*) FROM ticks") == len(ticks) + 2
    for known in (straight, late, ticks[0]):
        with pytest.raises(psycopg.errors.UniqueViolation):
            copy(tsl_db, known)

    tsl_db.execute("UPDATE schema_migrations SET sha256 = 'older'")
    tsl_db.execute("DISCARD ALL")
    assert migrate(str(tsl_db.info.dsn) + " password=any", namespace) == [n for n, _ in sql_files()]


def test_continuous_aggregates_hold_what_bars_says(
    tsl_db: psycopg.Connection, namespace: str
) -> None:
    ticks = some_ticks([2, 1.5, 1])
    insert(tsl_db, "ticks", ticks)
    expected = {
        (r["bar_start"], r["open"], r["high"], r["low"], r["close"], r["volume"], r["n_trades"])
        for r in call(tsl_db, "bars", "A", MINUTE, NOW - 5 * DAY, NOW)
    }
    query = "SELECT bar_start, open, high, low, close, volume, n_trades FROM bars_1m"
    assert set(tsl_db.execute(query.encode()).fetchall()) == expected
    refresh(tsl_db, NOW - 3 * DAY)
    run_jobs(tsl_db, namespace, "refresh", "bars_1h")
    assert set(tsl_db.execute(query.encode()).fetchall()) == expected
    whole = "SELECT sum(volume), sum(n_trades), sum(notional), max(high), min(low) FROM bars_1h"
    sizes = [k["size"] for k in ticks]
    notional = sum(k["size"] * k["price"] for k in ticks)
    assert tsl_db.execute(whole.encode()).fetchone() == (sum(sizes), 30, notional, 19.0, 10.0)

    late = tick("A", NOW - 1.5 * DAY + 0.5 * MINUTE, 77.0)
    insert(tsl_db, "ticks", [late])
    assert one(tsl_db, "SELECT max(high) FROM bars_1m") == 19.0  # until the next refresh
    run_jobs(tsl_db, namespace, "refresh", "bars_1m")
    assert one(tsl_db, "SELECT max(high) FROM bars_1m") == 77.0


def test_keep_for_drops_what_is_older(db: psycopg.Connection, namespace: str) -> None:
    insert(db, "ticks", some_ticks([900, 500, 20, 1]))
    said = one(db, "SELECT keep_for('ticks', '800 days')")
    if edition(db) == "timescale":
        assert said == "policy: chunks of ticks older than 800 days go once a day"
        assert one(db, "SELECT count(*) FROM ticks") == 40
        assert one(db, "SELECT keep_for('ticks', '700 days')").startswith("policy:")
        run_jobs(db, namespace, "retention", "ticks")
    else:
        n = "1 chunks" if edition(db) == "apache" else "10 rows"
        assert said.startswith(f"once: {n} of ticks before ")
    assert one(db, "SELECT count(*) FROM ticks") == 30
    assert one(db, "SELECT keep_for('actions', '800 days')").startswith("once: 0 rows of actions")


def test_keep_for_leaves_the_continuous_aggregate_what_it_has(
    tsl_db: psycopg.Connection, namespace: str
) -> None:
    insert(tsl_db, "ticks", some_ticks([30, 1]))
    refresh(tsl_db, NOW - 40 * DAY)
    tsl_db.execute("SELECT keep_for('ticks', '7 days', force => true)")
    run_jobs(tsl_db, namespace, "retention", "ticks")
    run_jobs(tsl_db, namespace, "refresh", "bars_1m")
    assert one(tsl_db, "SELECT count(*) FROM ticks") == 10
    assert one(tsl_db, "SELECT sum(n_trades) FROM bars_1m") == 20


REFUSED = [
    ("'ticks', '399 days'", "expected 400 days or more of the input ticks"),
    ("'actions', '13 months'", "expected 400 days or more of the input actions"),
    ("'ticks', '399 days', force => NULL", "expected 400 days or more"),
    ("'ticks', '6 days', force => true", "expected 7 days or more"),
    ("'signals', '-1 days'", "expected 7 days or more"),
    ("'ticks', NULL, force => true", "expected 7 days or more"),
    ("'positions', '800 days'", "expected a table of events, got positions"),
    ("'ticks; DROP TABLE ticks', '800 days'", "expected a table of events"),
]


def test_keep_for_refuses(db: psycopg.Connection) -> None:
    insert(db, "ticks", some_ticks([500]))
    for arguments, message in REFUSED:
        with pytest.raises(psycopg.errors.InvalidParameterValue, match=message):
            db.execute(f"SELECT keep_for({arguments})".encode())
    assert one(db, "SELECT count(*) FROM ticks") == 10


def test_keep_for_may_be_forced_and_outputs_need_not(db: psycopg.Connection) -> None:
    insert(db, "ticks", some_ticks([300, 1]))
    insert(db, "signals", [signal("k", "A", NOW - day * DAY) for day in (300, 1)])
    assert one(db, "SELECT keep_for('signals', '60 days')")
    assert one(db, "SELECT keep_for('ticks', '60 days', force => true)")
    if edition(db) != "timescale":
        assert one(db, "SELECT count(*) FROM signals") == 1
        assert one(db, "SELECT count(*) FROM ticks") == 10
