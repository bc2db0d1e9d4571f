"""Which offsets hold no record: what `verify` may leave out of its account, and no other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import confluent_kafka as kafka
import pytest

from stream.engine.clients import reading_options
from stream.engine.topics import create_topics
from stream.errors import Unavailable
from stream.settings import Settings
from training import consumption
from training.consumption import without_record

pytestmark = pytest.mark.stack

MARKERS = [3, 6, 9]  # of three transactions of two records and a marker each, after one record


@pytest.fixture
def log(settings: Callable[..., Settings]) -> Settings:
    """Partition 0 of `news`: a record, then three transactions, the second one aborted."""
    mine = settings(partitions=1)
    asyncio.run(create_topics(mine))
    topic = mine.topic("news")
    plain = kafka.Producer({"bootstrap.servers": mine.broker})
    plain.produce(topic, b"first", partition=0)
    assert plain.flush(10) == 0
    producer = kafka.Producer(
        {"bootstrap.servers": mine.broker, "transactional.id": f"{mine.namespace}-sender"}
    )
    producer.init_transactions(10)
    for end in (
        producer.commit_transaction,
        producer.abort_transaction,
        producer.commit_transaction,
    ):
        producer.begin_transaction()
        for _ in range(2):
            producer.produce(topic, b"one", partition=0)
        assert producer.flush(10) == 0
        end(10)
    return mine


def test_markers_hold_no_record_and_records_do(log: Settings) -> None:
    assert without_record(log, "news", 0, []) == set()
    assert without_record(log, "news", 0, range(10)) == set(MARKERS)


def test_what_lies_beyond_the_log_is_not_said_to_be_empty(log: Settings) -> None:
    assert without_record(log, "news", 0, [9, 500]) == {9}
    assert without_record(log, "news", 0, [500]) == set()


def test_a_broker_that_falls_silent_leaves_nothing_empty(
    log: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumption, "_READ_S", 0.1)
    silent = kafka.Consumer(reading_options(log, isolation="read_uncommitted"))  # of no partition
    with pytest.raises(Unavailable, match="up to offset 9, got none for"):
        list(consumption._held(silent, 9, "news-0"))
    silent.close()
