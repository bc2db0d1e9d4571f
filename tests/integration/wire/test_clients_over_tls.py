"""Every kind of client over every way in: PLAIN, SCRAM, a client certificate."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition

from stream.datasets.publisher import Publisher
from stream.embedded.process import free_port
from stream.engine.checkpoint import Meta, PartitionProducer
from stream.engine.clients import client_options, reader, started
from stream.engine.reach import reach
from stream.engine.topics import create_topics, lag, topic_ids
from stream.errors import Refused, Unavailable
from stream.settings import Settings
from tests.integration.wire.secured import PLAIN_PASSWORD, SECRETS, Authorities

pytestmark = pytest.mark.stack


def plain() -> dict[str, object]:
    return {"broker_sasl": "PLAIN", "broker_password": PLAIN_PASSWORD}


def without_sasl() -> dict[str, object]:
    return {"broker_sasl": None, "broker_user": None, "broker_password": None}


@pytest.mark.parametrize("way", ["plain", "scram256", "scram512", "mutual", "open"])
async def test_admin_reader_and_both_producers_get_in(
    way: str,
    scram: Callable[..., Settings],
    listeners: dict[str, str],
    known: Authorities,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="aiokafka")  # roles of other tests quieten it ...
    caplog.handler.filters.clear()  # ... and say each line once
    certificate = {
        "broker_certificate": known.client.certificate,
        "broker_key": known.client.key,
    }
    changes = {
        "plain": plain(),
        "scram256": {"broker_sasl": "SCRAM-SHA-256"},
        "scram512": {},
        "mutual": {**without_sasl(), **certificate, "broker": listeners["MUTUAL"]},
        "open": {"broker": listeners["OPEN"], "broker_tls": False, "broker_ca": None},
    }[way]
    mine = scram(namespace=f"way_{way}", mode="replay", **changes)
    await create_topics(mine)
    assert len(await topic_ids(mine)) > 10
    assert await lag(mine, mine.group("score")) == {}

    publisher = Publisher(mine)
    publisher.check("news")
    publisher.send([("news", 1_000_000, b"k", b"from librdkafka")])
    transactional = PartitionProducer(mine, "score", 0)
    await transactional.open()
    transactional.send("news", b"k", b"in a transaction", partition=0)
    await transactional.commit({}, Meta())
    await transactional.close()
    producer = AIOKafkaProducer(**client_options(mine))
    await started(producer)
    await producer.send_and_wait(mine.topic("news"), b"from aiokafka", partition=0)
    await producer.stop()

    async with reader(mine) as consumer:
        places = [TopicPartition(mine.topic("news"), p) for p in range(mine.partitions)]
        consumer.assign(places)
        await consumer.seek_to_beginning(*places)
        found: set[bytes] = set()
        while len(found) < 3:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found |= {record.value for record in records}
    assert found == {b"from librdkafka", b"in a transaction", b"from aiokafka"}
    assert "Attempting to bootstrap" in caplog.text  # aiokafka's debug lines are there
    assert not any(secret in caplog.text for secret in SECRETS)


async def refusal(settings: Settings) -> str:
    with pytest.raises((Refused, Unavailable)) as caught:
        await reach(settings, 1.0)
    return f"{caught.type.__name__}: {caught.value}"


async def test_what_does_not_fit_is_refused_with_the_setting(
    scram: Callable[..., Settings],
    listeners: dict[str, str],
    known: Authorities,
    tmp_path: Path,
) -> None:
    wrong = await refusal(scram(broker_password="wrong-4711"))
    assert wrong.startswith("Refused: TAPEWIRE_BROKER_PASSWORD: ")
    assert "'writer' with SCRAM-SHA-512" in wrong
    stranger = await refusal(scram(broker_user="nobody"))
    assert stranger.startswith("Refused: TAPEWIRE_BROKER_PASSWORD: ")
    assert "TAPEWIRE_BROKER_USER" in stranger
    plainly = await refusal(scram(broker_sasl="PLAIN", broker_password="wrong-4711"))
    assert plainly.startswith("Refused: TAPEWIRE_BROKER_PASSWORD: ")
    other_ca = await refusal(scram(broker_ca=known.stranger.certificate))
    assert other_ca.startswith(f"Refused: TAPEWIRE_BROKER_CA={known.stranger.certificate}: ")
    systems = await refusal(scram(broker_ca=None))
    assert systems.startswith("Refused: TAPEWIRE_BROKER_CA=")
    expired = await refusal(scram(broker=listeners["EXPIRED"], **without_sasl()))
    assert "its certificate has expired" in expired
    assert expired.startswith("Refused: TAPEWIRE_BROKER=")
    renamed = await refusal(scram(broker=listeners["RENAMED"], **without_sasl()))
    assert "not valid for 'localhost'" in renamed
    assert renamed.startswith("Refused: TAPEWIRE_BROKER=")
    in_clear: dict[str, object] = {"broker_tls": False, "broker_ca": None}
    not_asked = await refusal(scram(broker=listeners["EXPIRED"], **without_sasl(), **in_clear))
    assert not_asked.startswith("Unavailable: TAPEWIRE_BROKER=")
    assert "TAPEWIRE_BROKER_TLS=true" in not_asked
    assert "TAPEWIRE_BROKER_TLS" in await refusal(scram(broker=listeners["INSIDE"]))
    unasked = await refusal(scram(broker=listeners["INSIDE"], **in_clear))
    assert unasked.startswith("Refused: TAPEWIRE_BROKER_SASL=SCRAM-SHA-512: ")
    nameless = await refusal(scram(**without_sasl()))
    assert nameless.startswith("Unavailable: TAPEWIRE_BROKER=")
    assert "TAPEWIRE_BROKER_SASL" in nameless
    other_way = await refusal(scram(broker=listeners["OPEN"], broker_sasl="PLAIN", **in_clear))
    assert other_way.startswith("Refused: TAPEWIRE_BROKER_SASL=PLAIN: ")
    bare = await refusal(scram(broker=listeners["MUTUAL"], **without_sasl()))
    assert bare.startswith("Refused: TAPEWIRE_BROKER_CERTIFICATE=")
    nobody = await refusal(scram(broker=f"localhost:{free_port()}"))
    assert nobody.startswith("Unavailable: TAPEWIRE_BROKER=localhost:")

    (tmp_path / "not.pem").write_text("no certificate")
    unread = await refusal(scram(broker_ca=tmp_path / "not.pem"))
    assert unread.startswith(f"Refused: TAPEWIRE_BROKER_CA={tmp_path}/not.pem: ")
    crossed = await refusal(
        scram(broker_certificate=known.client.certificate, broker_key=known.server.key)
    )
    assert crossed.startswith("Refused: TAPEWIRE_BROKER_CERTIFICATE=")
