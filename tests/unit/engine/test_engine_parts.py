"""Partitions, topic settings, dead letters, metadata, and quiet logs."""

import logging
from dataclasses import dataclass

import msgspec
import pytest

from stream.engine.checkpoint import Meta
from stream.engine.deadletters import MAX_KEPT_BYTES, dead_letter
from stream.engine.quiet import EVERY_S, OncePer
from stream.engine.topics import STATES, partition_of, topic_config, topic_names
from stream.events import DeadLetter, decode
from stream.settings import Settings


@dataclass(frozen=True)
class Raw:
    value: bytes | None
    key: bytes | None = b"AAPL"
    partition: int = 3
    offset: int = 17
    timestamp: int = 1_700_000_000_123


@pytest.mark.parametrize(
    ("key", "murmur2"),
    [  # Apache Kafka's own table, UtilsTest.testMurmur2
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
@pytest.mark.parametrize("n_partitions", [1, 4, 7])
def test_partition_is_javas(key: bytes, murmur2: int, n_partitions: int) -> None:
    assert partition_of(key, n_partitions) == (murmur2 & 0x7FFFFFFF) % n_partitions


def test_replay_keeps_old_records_and_their_times() -> None:
    for name in set(topic_names()) - set(STATES):
        config = topic_config(name, Settings(mode="replay"))
        assert config["retention.ms"] == "-1"
        assert config["message.timestamp.type"] == "CreateTime"


def test_live_inputs_get_the_brokers_time() -> None:
    assert topic_config("news", Settings())["message.timestamp.type"] == "LogAppendTime"
    assert "message.timestamp.type" not in topic_config("signals", Settings())


def test_state_is_compacted() -> None:
    assert topic_config("score-state", Settings())["cleanup.policy"] == "compact"


def test_dead_letter_keeps_bytes_place_and_reason() -> None:
    key, value = dead_letter("score", "ticks", Raw(b"\xff\x00"), "not JSON")
    letter = decode(DeadLetter, value)
    assert key == b"ticks:3:17"
    assert (letter.payload, letter.n_bytes, letter.key) == (b"\xff\x00", 2, b"AAPL")
    assert (letter.topic, letter.partition, letter.offset) == ("ticks", 3, 17)
    assert (letter.role, letter.reason) == ("score", "not JSON")


def test_dead_letter_of_a_tombstone_without_key() -> None:
    letter = decode(DeadLetter, dead_letter("score", "ticks", Raw(None, key=None), "none")[1])
    assert (letter.payload, letter.n_bytes, letter.key) == (b"", 0, None)


def test_large_record_is_cut_and_its_letter_fits_a_kafka_batch() -> None:
    raw = Raw(b"x" * 5_000_000, key=b"k" * 50_000)
    _, value = dead_letter("score", "ticks", raw, "y" * 50_000)
    letter = decode(DeadLetter, value)
    assert (len(letter.payload), letter.n_bytes) == (MAX_KEPT_BYTES, 5_000_000)
    assert len(value) < 1_000_000


def test_meta_of_an_older_version_is_read() -> None:
    meta = msgspec.json.decode(b'{"positions":{"ticks":7},"later":1}', type=Meta)
    assert (meta.positions, meta.counts, meta.step) == ({"ticks": 7}, {}, {})


def line(name: str, message: str) -> logging.LogRecord:
    return logging.LogRecord(name, logging.ERROR, "", 0, message, (), None)


def test_a_clients_repeated_message_passes_once_in_ten_seconds() -> None:
    now = [0.0]
    quiet = OncePer(lambda: now[0])
    assert quiet.filter(line("aiokafka.conn", "down %s"))
    assert not quiet.filter(line("aiokafka.conn", "down %s"))
    assert quiet.filter(line("aiokafka.conn", "up"))
    now[0] = EVERY_S
    assert quiet.filter(line("aiokafka.conn", "down %s"))


def test_our_own_lines_are_never_dropped() -> None:
    quiet = OncePer(lambda: 0.0)
    assert all(quiet.filter(line("stream.engine", "again")) for _ in range(3))
