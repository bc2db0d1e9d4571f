"""How every client of the namespace's broker is made."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from stream.settings import Settings

_START_S = 2.0


def client_options(settings: Settings) -> dict[str, Any]:
    """What every aiokafka client of this namespace is made with."""
    return {"bootstrap_servers": settings.broker}


def reading_options(settings: Settings, *, isolation: str) -> dict[str, Any]:
    """What a confluent-kafka consumer outside any group is made with."""
    return {
        "bootstrap.servers": settings.broker,
        "group.id": f"{settings.namespace}-reader",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "earliest",
        "isolation.level": isolation,
        "log_level": 0,
    }


@contextlib.asynccontextmanager
async def reader(
    settings: Settings, *, committed: bool = True, **options: Any
) -> AsyncIterator[AIOKafkaConsumer]:
    """A started consumer outside any group; stopped at the end, also where its start was cut."""
    isolated = committed and not settings.embedded
    consumer = AIOKafkaConsumer(
        **client_options(settings),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed" if isolated else "read_uncommitted",
        check_crcs=not settings.embedded,  # the embedded broker's batches fail their CRC
        **options,
    )
    try:
        await started(consumer)
        yield consumer
    finally:
        await consumer.stop()


async def started(client: AIOKafkaConsumer | AIOKafkaProducer) -> None:
    """Start `client`; when cut meanwhile, let the connection be made, so that it can be closed."""
    starting = asyncio.ensure_future(client.start())
    starting.add_done_callback(lambda task: task.cancelled() or task.exception())
    try:
        await asyncio.shield(starting)
    except asyncio.CancelledError:
        await asyncio.wait([starting], timeout=_START_S)
        starting.cancel()
        raise
