"""What reaches a step, in which order, and what becomes of records that it cannot take."""

import asyncio
import time
from collections.abc import Sequence

import confluent_kafka as kafka
import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from stream.engine import transport, worker
from stream.engine.app import Engine, run_role
from stream.engine.checkpoint import read_state
from stream.engine.pending import MAX_BYTES
from stream.engine.pending import MAX_RECORDS as MAX_PENDING
from stream.engine.step import NotYet, Outbox, Outcome, Record
from stream.engine.topics import create_topics, lag, topic_ids
from stream.engine.transport import MAX_RECORDS
from stream.errors import Refused, Unavailable
from stream.events import DeadLetter, decode
from stream.settings import Settings
from tests.integration.engine.counting import CountingStep, Running, counting
from tests.integration.engine.log import (
    Sent,
    all_read,
    assert_each_once,
    n_outputs,
    outputs,
    publish,
    read,
    ticks,
    until,
)

pytestmark = pytest.mark.stack

AT = 1_700_000_000_000


def at(*times: int, key: bytes = b"AAPL") -> list[Sent]:
    return [(key, b"%d" % t, 0, AT + t) for t in times]


async def test_poison_is_dead_lettered_and_the_next_record_processed(
    broker_settings: Settings, running: Running
) -> None:
    records: list[Sent] = [
        (b"AAPL", b"first", 0, AT),
        (b"AAPL", b"bad", 0, AT + 1),
        (None, b"without key", 0, AT + 2),
        (b"MSFT", b"large", 0, AT + 3),
        (b"AAPL", b"last", 0, AT + 4),
    ]
    publish(broker_settings, "ticks", records)
    async with running(broker_settings, counting()) as role:
        await until(lambda: all_read(broker_settings, 1), role=role)
    assert [one.offset for _, one in outputs(broker_settings)[0]] == [0, 4]
    letters = [decode(DeadLetter, raw) for _, raw in read(broker_settings, "dead-letters")[0]]
    assert [letter.offset for letter in letters] == [1, 2, 3]
    assert letters[0].payload == b"bad"
    assert "a bad one" in letters[0].reason
    assert "key" in letters[1].reason
    assert "bytes" in letters[2].reason
    _, meta = await read_state(broker_settings, "score", 0)
    assert meta is not None
    assert meta.counts == {"ticks": {"delivered": 5, "applied": 2, "dead": 3}}


@pytest.mark.parametrize("mode", ["live", "replay"])
async def test_inputs_are_merged_by_kafka_timestamp(
    broker_settings: Settings, running: Running, mode: str
) -> None:
    settings = broker_settings.model_copy(update={"mode": mode})
    publish(settings, "sentiment", at(15, 20, 25, 40))
    publish(settings, "actions", at(20))
    publish(settings, "ticks", at(10, 20, 30))
    async with running(settings, counting("ticks", "sentiment", "actions")) as role:
        await until(lambda: n_outputs(settings) >= 8, role=role)
    others = [("sentiment", 15), ("actions", 20), ("sentiment", 20), ("sentiment", 25)]
    tape = [("ticks", 10), ("ticks", 20), ("ticks", 30)]
    expected = {
        "live": [tape[0], *others[:3], tape[1], others[3], tape[2], ("sentiment", 40)],
        "replay": [*others, ("sentiment", 40), *tape],
    }
    applied = [(one.topic, one.timestamp - AT) for _, one in outputs(settings)[0]]
    assert applied == expected[mode]


async def test_transactions_on_the_input_leave_gaps_and_aborted_records_are_not_seen(
    broker_settings: Settings, running: Running
) -> None:
    producer = kafka.Producer(
        {"bootstrap.servers": broker_settings.broker, "transactional.id": broker_settings.namespace}
    )
    producer.init_transactions()
    for i in range(30):
        producer.begin_transaction()
        value = b"bug" if i % 3 == 2 else b"fine"
        producer.produce(broker_settings.topic("ticks"), value, b"AAPL", 1, timestamp=AT + i)
        producer.flush()
        if i % 3 == 2:
            producer.abort_transaction()
        else:
            producer.commit_transaction()
    async with running(broker_settings, counting()) as role:
        await until(lambda: n_outputs(broker_settings) >= 20, role=role)
        await until(lambda: all_read(broker_settings, 1), role=role)
    assert (await lag(broker_settings, broker_settings.group("score")))["ticks"] == (60, 60)
    assert_each_once(broker_settings, 20)


class Stuck(CountingStep):
    """Partition 0 waits in `prepare` until told."""

    go_on = asyncio.Event()

    async def prepare(self, topic: str, records: Sequence[Record]) -> None:
        if self._partition == 0:
            await self.go_on.wait()


async def test_a_stuck_partition_takes_a_bounded_number_of_records_and_stops_no_other(
    broker_settings: Settings,
) -> None:
    n = 2 * (MAX_PENDING + MAX_RECORDS)
    Stuck.go_on = asyncio.Event()
    publish(broker_settings, "ticks", ticks(4 * n))
    engine = Engine(broker_settings, counting(make_step=Stuck))
    stop = asyncio.Event()
    role = asyncio.create_task(engine.run(stop))
    try:
        await until(lambda: n_outputs(broker_settings) == 3 * n, role=role)
        missing = engine.app.consumer.missing(engine._tp("ticks", 0))
        assert MAX_PENDING <= n - missing <= MAX_PENDING + MAX_RECORDS
        Stuck.go_on.set()
        await until(lambda: n_outputs(broker_settings) == 4 * n, role=role)
    finally:
        stop.set()
        await asyncio.wait_for(role, 30)
    assert_each_once(broker_settings, 4 * n)


async def test_a_stuck_partition_takes_a_bounded_number_of_bytes(
    broker_settings: Settings,
) -> None:
    Stuck.go_on = asyncio.Event()
    value = bytes(900_000)
    publish(broker_settings, "ticks", [(b"AAPL", value, 0, AT)] * 60)
    engine = Engine(broker_settings, counting(make_step=Stuck))
    stop = asyncio.Event()
    role = asyncio.create_task(engine.run(stop))
    try:
        async with asyncio.timeout(30):
            while not engine.app.consumer._pending[engine._tp("ticks", 0)].full:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.5)
        missing = engine.app.consumer.missing(engine._tp("ticks", 0))
        assert 60 - MAX_BYTES // len(value) - 3 <= missing < 60
        Stuck.go_on.set()
        await until(lambda: n_outputs(broker_settings) == 60, role=role)
    finally:
        stop.set()
        await asyncio.wait_for(role, 30)


async def test_a_partition_that_was_full_is_read_on_at_once(
    broker_settings: Settings, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "_POLL_S", 600)  # a fetch of the empty partitions
    n = 5 * MAX_PENDING
    publish(broker_settings, "ticks", ticks(n, n_partitions=1))
    async with running(broker_settings, counting()) as role:
        await until(lambda: n_outputs(broker_settings) == n, role=role)
    assert_each_once(broker_settings, n)


async def test_what_is_sent_is_committed_while_the_next_records_are_prepared_slowly(
    broker_settings: Settings, running: Running
) -> None:
    class Slow(CountingStep):
        async def prepare(self, topic: str, records: Sequence[Record]) -> None:
            if any(record.value == b"slow" for record in records):
                await asyncio.sleep(60)

    publish(broker_settings, "ticks", [(b"AAPL", b"%d" % i, 0, AT) for i in range(500)])
    publish(broker_settings, "ticks", [(b"AAPL", b"slow", 0, AT)])
    async with running(broker_settings, counting(make_step=Slow)) as role:
        await until(lambda: n_outputs(broker_settings) == 500, role=role)
        began = time.monotonic()
    assert time.monotonic() - began < 15
    assert n_outputs(broker_settings) == 500


async def test_a_state_that_needs_deleted_records_is_refused(
    broker_settings: Settings, running: Running
) -> None:
    publish(broker_settings, "ticks", ticks(400))
    async with running(broker_settings, counting()) as role:
        await until(lambda: all_read(broker_settings), role=role)
    publish(broker_settings, "ticks", ticks(400, first=400))
    admin = AdminClient({"bootstrap.servers": broker_settings.broker})
    cut = kafka.TopicPartition(broker_settings.topic("ticks"), 1, 150)
    admin.delete_records([cut])[cut].result()
    with pytest.raises(Refused, match=r"offset 100, expected .* 150 to 200"):
        await asyncio.wait_for(run_role(broker_settings, counting()), 20)


async def test_topics_of_unequal_partition_counts_are_refused(
    namespace: str, kafka: str, broker_settings: Settings
) -> None:
    admin = AdminClient({"bootstrap.servers": kafka})
    odd = broker_settings.topic("odd")
    admin.create_topics([NewTopic(odd, 2, 1)])[odd].result()
    with pytest.raises(Refused, match="without odd"):
        await asyncio.wait_for(run_role(broker_settings, counting("ticks", "odd")), 20)
    with pytest.raises(Refused, match="TAPEWIRE_PARTITIONS"):
        await create_topics(broker_settings.model_copy(update={"partitions": 3}))


async def test_topics_are_made_once_and_have_an_identity(broker_settings: Settings) -> None:
    before = await topic_ids(broker_settings)
    await create_topics(broker_settings)
    assert await topic_ids(broker_settings) == before
    assert len(set(before.values())) == len(before)


class Waiting(CountingStep):
    """A tick waits for the score that is named after it."""

    def __init__(self, partition: int) -> None:
        super().__init__(partition)
        self.known: set[bytes | None] = set()

    def apply(self, topic: str, record: Record, out: Outbox) -> Outcome:
        if topic == "ticks" and record.value not in self.known:
            raise NotYet(f"the score {record.value!r}")
        self.known.add(record.value)
        return super().apply(topic, record, out)


async def test_a_record_that_waits_holds_its_topic_until_the_other_input_came(
    broker_settings: Settings, running: Running
) -> None:
    spec = counting("ticks", "sentiment", make_step=Waiting)
    publish(broker_settings, "ticks", at(1, 2, 3))
    async with running(broker_settings, spec) as role:
        for n, known in ((2, at(1)), (6, at(3, 2))):
            publish(broker_settings, "sentiment", known)
            await until(lambda n=n: n_outputs(broker_settings) == n, role=role)
    told = [(one.topic, one.offset) for _, one in outputs(broker_settings)[0]]
    assert told[:2] == [("sentiment", 0), ("ticks", 0)]
    assert told[-2:] == [("ticks", 1), ("ticks", 2)]


async def test_what_never_comes_ends_the_role_and_says_what_it_was(
    broker_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "_HELD_S", 0.3)
    publish(broker_settings, "ticks", at(1))
    with pytest.raises(Unavailable, match="ticks partition 0 waits for the score b'1', for"):
        await run_role(broker_settings, counting("ticks", "sentiment", make_step=Waiting))
