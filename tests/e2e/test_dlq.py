"""`tapewire dlq` on real servers: from a record refused to its bytes back on its topic, once."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import confluent_kafka as kafka
import psycopg
import pytest
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
)

from stream.archive.migrate import migrate
from stream.archive.sink import Chunk, Sink
from stream.cli.last_demo import remember
from stream.deadletters.source import LETTER, REPLAY_OF
from stream.embedded.postgres import start_postgres
from stream.engine.topics import create_topics, partition_of
from stream.events import DeadLetter, Instrument, Tick, encode
from stream.settings import Settings
from tests.e2e.servers import WAIT_S, environment, publish, rows_of
from tests.integration.engine.log import how_far

pytestmark = pytest.mark.stack

T0 = datetime(2024, 3, 5, 15, 0, tzinfo=UTC)
BIG = 600_000  # bytes, more than a letter keeps
WIDE = {"COLUMNS": "240"}


def at_ms(seconds: float) -> int:
    return int((T0.timestamp() + seconds) * 1000)


def tick(
    seconds: float, symbol: str = "AAPL", *, sent: float | None = None, price: float = 100.0
) -> tuple[str, str, bytes, int]:
    """A trade `seconds` after T0, sent at its own time or at `sent`."""
    ts = T0 + timedelta(seconds=seconds)
    raw = encode(Tick(symbol=symbol, ts=ts, price=price, size=10.0))
    return "ticks", symbol, raw, at_ms(seconds if sent is None else sent)


def alter(settings: Settings, topic: str, **config: str) -> None:
    admin = AdminClient({"bootstrap.servers": settings.broker, "log_level": 0})
    entries = [
        ConfigEntry(name.replace("_", "."), value, incremental_operation=AlterConfigOpType.SET)
        for name, value in config.items()
    ]
    resource = ConfigResource(
        ConfigResource.Type.TOPIC, settings.topic(topic), incremental_configs=entries
    )
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(10)


@pytest.fixture
def place(settings: Callable[..., Settings]) -> Settings:
    """A live namespace whose ticks keep the Kafka time that their sender gives."""
    mine = settings(mode="live", partitions=2)
    admin = AdminClient({"bootstrap.servers": mine.broker, "log_level": 0})
    kept = NewTopic(mine.topic("ticks"), 2, 1, config={"message.timestamp.type": "CreateTime"})
    admin.create_topics([kept])[mine.topic("ticks")].result(10)
    asyncio.run(create_topics(mine))
    tapewire(mine, "migrate")
    return mine


def running(settings: Settings, *roles: str) -> Iterator[Settings]:
    env = environment(
        settings,
        TAPEWIRE_PARTITIONS="2",
        TAPEWIRE_SCORE_EVERY_TICK="true",
        TAPEWIRE_REQUIRE_INSTRUMENTS="true",
    )
    processes = [
        subprocess.Popen([sys.executable, "-m", "stream.cli", "worker", "--role", role], env=env)
        for role in roles
    ]
    yield settings
    for process in processes:
        process.send_signal(signal.SIGTERM)
    assert [process.wait(5) for process in processes] == [0] * len(roles)


@pytest.fixture
def worker(place: Settings) -> Iterator[Settings]:
    """Score and archive; a symbol needs an instrument, and every trade is scored."""
    yield from running(place, "score", "archive")


@pytest.fixture
def archive(place: Settings) -> Iterator[Settings]:
    """The archive alone: letters are the test's own."""
    yield from running(place, "archive")


def tapewire(settings: Settings, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "stream.cli", *words],
        env=environment(settings, TAPEWIRE_PARTITIONS="2", **WIDE),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


def dlq(settings: Settings, *words: str, code: int = 0) -> Any:
    return json.loads(tapewire(settings, "dlq", *words, "--json", code=code).stdout)


def bury(settings: Settings, *, at_s: float = 0, **changes: Any) -> None:
    """Write a letter as a role does, `at_s` after T0."""
    given = {
        "role": "score",
        "topic": "ticks",
        "partition": 0,
        "offset": 0,
        "kafka_ts": T0,
        "reason": "malformed",
        "key": b"AAPL",
        "payload": b"{}",
    }
    given |= changes
    letter = DeadLetter(**{"n_bytes": len(given["payload"]), **given})
    publish(settings, [("dead-letters", "place", encode(letter), at_ms(at_s))])


def names(settings: Settings, *filters: str) -> list[str]:
    return [letter["name"] for letter in dlq(settings, "list", *filters)["letters"]]


def letters(settings: Settings, enough: int) -> list[dict[str, Any]]:
    """All letters in the order of their records, as soon as there are enough."""
    return rows_of(settings, "SELECT * FROM letters ORDER BY source_offset", enough)


def wait_read(settings: Settings, topic: str) -> None:
    """Until score has applied and committed all of `topic`."""
    consumer = kafka.Consumer({"bootstrap.servers": settings.broker, "group.id": "none"})
    full = settings.topic(topic)
    ends = {
        p: consumer.get_watermark_offsets(kafka.TopicPartition(full, p), timeout=10)[1]
        for p in range(settings.partitions)
    }
    consumer.close()
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until:
        found = how_far(settings, "score")
        if all(found.get((topic, p), (0, 0))[0] >= end for p, end in ends.items()):
            return
        time.sleep(0.1)
    pytest.fail(f"{topic}: score did not reach {ends} in {WAIT_S:g} s")


def record_at(settings: Settings, name: str) -> kafka.Message:
    """The record at TOPIC:PARTITION:OFFSET."""
    topic, partition, offset = name.split(":")
    consumer = kafka.Consumer({"bootstrap.servers": settings.broker, "group.id": "none"})
    try:
        consumer.assign([kafka.TopicPartition(settings.topic(topic), int(partition), int(offset))])
        message = consumer.poll(WAIT_S)
    finally:
        consumer.close()
    assert message is not None
    assert message.error() is None
    assert message.offset() == int(offset)
    return message


def stored(settings: Settings) -> dict[str, dict[Any, dict[str, Any]]]:
    signals = rows_of(settings, "SELECT * FROM signals", 1)
    panes = rows_of(settings, "SELECT * FROM bars", 1)
    return {
        "signals": {row["signal_id"]: row for row in signals},
        "panes": {(row["symbol"], row["bar_end"]): row for row in panes},
    }


def test_letters_go_back_once_and_change_nothing_that_was_said(worker: Settings) -> None:
    publish(worker, [("instruments", "AAPL", encode(Instrument(symbol="AAPL")), 0)])
    wait_read(worker, "instruments")
    big = b'{"symbol": "AAPL"' + b" " * BIG + b"}"
    publish(
        worker,
        [
            tick(0),
            tick(100, sent=0),  # 40 s too early; when it is replayed, its pane is closed
            *(tick(seconds) for seconds in range(10, 210, 10)),
            tick(205, price=-1.0),
            tick(300, sent=205),  # too early; when it is replayed, its time has not passed
            tick(206, "MSFT"),  # no instrument yet
            ("ticks", "AAPL", big, at_ms(207)),
        ],
    )
    first = letters(worker, 5)
    late, bad, early, cut = (row["name"] for row in first if row["key"] == b"AAPL")
    (unknown,) = (row["name"] for row in first if row["key"] == b"MSFT")
    rows_of(worker, "SELECT 1 FROM signals WHERE trigger = 'tick'", 21)
    rows_of(worker, "SELECT 1 FROM bars", 3)
    before = stored(worker)
    assert set(names(worker)) == {late, bad, early, unknown, cut}

    # What is still wrong dies again, as a letter of its own.
    sent = dlq(worker, "replay", bad)["replayed"]
    (again,) = {row["name"] for row in letters(worker, 6)} - {row["name"] for row in first}
    assert dlq(worker, "show", bad)["died_again"] == [again]
    shown = dlq(worker, "show", again)
    assert (shown["replay_of"], shown["fate"]) == (bad, "open")
    assert f"ticks:{shown['source_partition']}:{shown['source_offset']}" == sent[bad]
    assert bad not in names(worker)
    assert names(worker, "--fate", "replayed") == [bad]

    # The record itself, and which it is a replay of.
    one = dlq(worker, "show", bad)
    record = record_at(worker, sent[bad])
    assert (record.key(), record.value()) == (b"AAPL", tick(205, price=-1.0)[2])
    assert dict(record.headers() or ()) == {
        REPLAY_OF: f"ticks:{one['source_partition']}:{one['source_offset']}".encode(),
        LETTER: bad.encode(),
    }

    # A second time only when forced.
    refused = tapewire(worker, "dlq", "replay", bad, code=2)
    assert "replayed by" in refused.stderr
    twice = dlq(worker, "replay", bad, "--force")["replayed"]
    assert twice[bad] != sent[bad]
    assert len(letters(worker, 7)) == 7
    steps = dlq(worker, "show", bad)["history"]
    assert [step["fate"] for step in steps] == ["replayed", "replayed"]

    # One longer than a letter keeps comes from its source, while that has it.
    assert dlq(worker, "show", cut)["n_kept"] < BIG
    assert record_at(worker, dlq(worker, "replay", cut)["replayed"][cut]).value() == big

    # What was too early, at its time: late where its pane is closed, else applied.
    dlq(worker, "replay", late)
    (late_event,) = rows_of(worker, "SELECT * FROM late_events", 1)
    assert late_event["ts"] == T0 + timedelta(seconds=100)
    dlq(worker, "replay", early)
    applied = rows_of(worker, "SELECT 1 FROM signals WHERE as_of = '2024-03-05 15:05:00+00'", 1)
    assert len(applied) == 1

    # What lacked an instrument, once that is there.
    publish(worker, [("instruments", "MSFT", encode(Instrument(symbol="MSFT")), 0)])
    wait_read(worker, "instruments")
    answer = tapewire(worker, "dlq", "replay", "--all", "--reason", "`instruments` names", code=2)
    assert "expected --yes" in answer.stderr
    done = dlq(worker, "replay", "--all", "--reason", "`INSTRUMENTS` names", "--yes")
    assert (list(done["replayed"]), done["left"]) == ([unknown], {})
    wait_read(worker, "ticks")
    assert len(rows_of(worker, "SELECT 1 FROM ticks WHERE symbol = 'MSFT'", 2)) == 2

    after = stored(worker)
    for kind, rows in before.items():
        assert {key: after[kind][key] for key in rows} == rows
    rows_of(worker, "SELECT 1 FROM letters", 8)
    proof = json.loads(tapewire(worker, "verify", "--json").stdout)
    assert sum(each["unaccounted"] for each in proof["accounts"]) == 0
    assert proof["equal"] == len(after["signals"])


HANG = """
CREATE FUNCTION hang() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_sleep(600); RETURN new; END $$;
CREATE TRIGGER hang BEFORE UPDATE ON dead_letter_fates FOR EACH ROW EXECUTE FUNCTION hang()
"""


def execute(settings: Settings, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(
        settings.database.get_secret_value(),
        autocommit=True,
        options=f"-c search_path={settings.namespace}",
    ) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def end_hanging(settings: Settings) -> None:
    """End the server's side of whoever hangs in recording how a replay ended."""
    ended = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep' "
        "AND query LIKE '%UPDATE dead_letter_fates%' AND pid <> pg_backend_pid()"
    )
    until = time.monotonic() + WAIT_S
    while not execute(settings, ended):
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_crash_in_a_replay_is_seen_and_nothing_is_sent_twice_unasked(archive: Settings) -> None:
    publish(archive, [("ticks", "AAPL", b"no tick", at_ms(0))])
    bury(archive, partition=partition_of(b"AAPL", 2), payload=b"no tick", key=b"AAPL")
    (letter,) = letters(archive, 1)
    name = letter["name"]
    execute(archive, HANG)
    command = [sys.executable, "-m", "stream.cli", "dlq", "replay", name]
    with subprocess.Popen(command, env=environment(archive)) as crashed:
        rows_of(archive, "SELECT 1 FROM letters WHERE fate = 'replaying'", 1)
        other = tapewire(archive, "dlq", "replay", name, code=2)
        crashed.kill()
    end_hanging(archive)
    assert "a replay began by" in other.stderr
    assert names(archive) == names(archive, "--fate", "replaying") == [name]
    tapewire(archive, "dlq", "replay", name, code=2)
    tapewire(archive, "dlq", "drop", name, code=2)

    # The database goes when the bytes are on the topic: the operator hears where.
    with subprocess.Popen(
        [*command, "--force"], env=environment(archive), stderr=subprocess.PIPE, text=True
    ) as cut_off:
        end_hanging(archive)
        _, said = cut_off.communicate(timeout=WAIT_S)
    assert cut_off.returncode == 2
    sent = f"ticks:{partition_of(b'AAPL', 2)}:"
    assert f"its record is at {sent}" in said
    execute(archive, "DROP TRIGGER hang ON dead_letter_fates")
    assert list(dlq(archive, "replay", name, "--force")["replayed"]) == [name]
    fates = [step["fate"] for step in dlq(archive, "show", name)["history"]]
    assert fates == ["replaying", "replaying", "replayed"]


EVIL = "\x1b[31mred\x1b]0;owned\x07 \u202e[bold]"


def test_strangers_bytes_are_shown_escaped(archive: Settings) -> None:
    text = f'{{"a": "{EVIL}\x00"}}\n'.encode()
    bury(
        archive, offset=1, role=f"r{EVIL}", reason=f"no {EVIL}", key=b"k\x1b\x00[red]", payload=text
    )
    bury(archive, at_s=1, offset=2, key=b"\xff\x1b", payload=b"\xfe\x1b[2J\x00")
    newest, oldest = (row["name"] for row in letters(archive, 2)[::-1])
    for words in (
        ["list"],
        ["list", "--by", "role", "--by", "reason"],
        ["show", oldest],
        ["show", newest],
    ):
        said = tapewire(archive, "dlq", *words).stdout
        assert said.replace("\n", "").isprintable(), words
    listed = tapewire(archive, "dlq", "list").stdout
    for shown in (r"no \x1b[31mred", r"\u202e[bold]", r"k\x1b\x00[red]", "0xff1b"):
        assert shown in listed
    assert (
        r'"\x1b[31mred\x1b]0;owned\x07 \u202e[bold]\x00"}\n'
        in tapewire(archive, "dlq", "show", oldest).stdout
    )
    assert "fe 1b 5b 32 4a 00" in tapewire(archive, "dlq", "show", newest).stdout
    raw = tapewire(archive, "dlq", "show", oldest, "--json").stdout
    assert raw.strip().isprintable()
    assert json.loads(raw)["payload"].encode() == text
    assert dlq(archive, "show", newest)["payload"] is None
    assert base64.b64decode(dlq(archive, "show", newest)["payload_base64"]) == b"\xfe\x1b[2J\x00"


def test_what_cannot_be_done_is_said_and_leaves_the_letter_open(archive: Settings) -> None:
    raw = b" " * BIG
    home = partition_of(b"AAPL", 2)
    publish(archive, [("ticks", "AAPL", raw, at_ms(0)), tick(1)])
    cut = {"partition": home, "payload": raw[:100], "n_bytes": BIG}
    bury(archive, at_s=0, **cut)
    bury(archive, at_s=1, **cut, offset=1)
    bury(archive, at_s=2, topic="signals")
    bury(archive, at_s=3, offset=3)
    by_time = rows_of(archive, "SELECT name FROM letters ORDER BY kafka_ts", 4)
    gone, other, foreign, dropped = (str(row["name"]) for row in by_time)

    # A broker that will not have it: the letter is as it was.
    alter(archive, "ticks", max_message_bytes="100000")
    assert "too large" in dlq(archive, "replay", gone, code=2)["left"][gone].lower()
    (step,) = dlq(archive, "show", gone)["history"]
    assert (step["fate"], dlq(archive, "show", gone)["fate"]) == ("failed", "open")
    alter(archive, "ticks", max_message_bytes="1000000")

    # What was cut, and is no longer there, or is another record.
    admin = AdminClient({"bootstrap.servers": archive.broker, "log_level": 0})
    before = kafka.TopicPartition(archive.topic("ticks"), home, 1)
    admin.delete_records([before])[before].result(10)
    left = dlq(archive, "replay", gone, other, foreign, code=2)["left"]
    assert f"100 of {BIG:,} bytes were kept, and ticks:{home}:0 is no longer there" in left[gone]
    assert f"expected at ticks:{home}:1 the record with its key" in left[other]
    assert "source topic: expected one of news, ticks" in left[foreign]

    # Dropped: stored, and not listed.
    tapewire(archive, "dlq", "drop", dropped, "--reason", "test feed")
    assert set(names(archive)) == {gone, other, foreign}
    assert names(archive, "--fate", "dropped") == [dropped]
    assert dlq(archive, "show", dropped)["history"][0]["reason"] == "test feed"
    assert "it was dropped by" in tapewire(archive, "dlq", "replay", dropped, code=2).stderr
    assert dropped in dlq(archive, "replay", dropped, "--force")["replayed"]
    assert "it was replayed by" in tapewire(archive, "dlq", "drop", dropped, code=2).stderr
    assert dlq(archive, "drop", dropped, "--force")["dropped"] == [dropped]

    for words, says in (
        (["show", "9:9"], "letter 9:9: expected one that"),
        (["replay", gone, "9:9"], "letter 9:9: expected one that"),
    ):
        done = tapewire(archive, "dlq", *words, code=2)
        assert says in done.stderr, words
        assert len(done.stderr.splitlines()) == 1
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "wb") as operator, os.fdopen(theirs, "rb") as terminal:
        operator.write(b"n\n")
        operator.flush()
        command = [sys.executable, "-m", "stream.cli", "dlq", "replay", "--all"]
        no = subprocess.run(
            command, env=environment(archive), stdin=terminal, capture_output=True, check=False
        )
    assert no.returncode == 1
    assert b"Replay 3 letters?" in no.stderr
    away = archive.model_copy(update={"broker": "127.0.0.1:1"})
    assert (
        "TAPEWIRE_BROKER=127.0.0.1:1"
        in tapewire(away, "dlq", "replay", foreign, gone, code=5).stderr
    )
    assert len(dlq(archive, "show", gone)["history"]) == 1


def test_a_demos_letters_are_listed_and_shown_but_not_sent(tmp_path: Path) -> None:
    folder, schema = tmp_path / "postgres", "demo_of_a_test"
    raw = encode(
        DeadLetter(
            role="score", topic="ticks", partition=0, offset=3, kafka_ts=T0, reason="no JSON",
            key=None, payload=b"{", n_bytes=1,
        )
    )  # fmt: skip
    with start_postgres(folder) as server:
        migrate(server.dsn, schema)
        sink = Sink(server.dsn, schema)
        sink.write([Chunk("dead-letters", "run.dead-letters", 0, [Stored(raw)], 0, 1)])
        sink.close()
    remember(Settings(namespace=schema, data_dir=tmp_path), folder)

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "stream.cli", "dlq", *words],
            env={**os.environ, "TAPEWIRE_DATA_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )

    listed = json.loads(run("list", "--json").stdout)
    assert [each["name"] for each in listed["letters"]] == ["0:0"]
    assert "no JSON" in run("show", "0:0").stdout
    for words in (["replay", "0:0"], ["drop", "0:0"]):
        done = run(*words)
        assert done.returncode == 2
        assert "TAPEWIRE_DATABASE, found none: a demo's letters can be listed" in done.stderr


class Stored(NamedTuple):
    value: bytes
    key: bytes | None = b"place"
    partition: int = 0
    offset: int = 0
    timestamp: int = at_ms(0)
