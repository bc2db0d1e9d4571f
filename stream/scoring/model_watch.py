"""Follows the `models` topic, outside any group, and loads what it names from the registry."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
import structlog
from aiokafka import TopicPartition

from models.artifact import ArtifactError
from models.scorer import Scorer
from stream.engine.clients import reader
from stream.events import ModelChanged, decode
from stream.scoring.step import ModelInForce
from stream.settings import Settings

log = structlog.get_logger()

_RETRY_S = 2.0


async def watch_models(
    settings: Settings,
    in_force: ModelInForce,
    load: Callable[[ModelChanged], Scorer],
    *,
    caught_up: asyncio.Event,
) -> None:
    """Keep `in_force` at the champion until cancelled; sets `caught_up` at the topic's end.

    `load` fetches and checks an artifact, and may block; what it refuses leaves `in_force` alone.
    """
    async with reader(settings, fetch_max_wait_ms=100) as consumer:
        topic = settings.topic("models")
        everywhere = [TopicPartition(topic, p) for p in range(settings.partitions)]
        consumer.assign(everywhere)
        await consumer.seek_to_beginning(*everywhere)
        ends = await consumer.end_offsets(everywhere)
        latest: ModelChanged | None = None
        while True:
            if all([await consumer.position(tp) >= ends[tp] for tp in everywhere]):
                if latest is None or await _take(latest, in_force, load):
                    latest = None
                    caught_up.set()
                else:
                    await asyncio.sleep(_RETRY_S)
            fetched = await consumer.getmany(timeout_ms=100)
            for records in fetched.values():
                for record in records:
                    if (change := _read(record.value)) and change.alias == "champion":
                        latest = change


def _read(raw: bytes | None) -> ModelChanged | None:
    try:
        return decode(ModelChanged, raw or b"")
    except msgspec.DecodeError as error:
        log.warning("model event unreadable", reason=str(error))
        return None


async def _take(
    change: ModelChanged,
    in_force: ModelInForce,
    load: Callable[[ModelChanged], Scorer],
) -> bool:
    """Put `change` in force; False asks for another try (the registry did not answer)."""
    if change.version is None:
        in_force.champion = None
        log.info("champion withdrawn", speaks=in_force.rules.version)
        return True
    try:
        scorer = await asyncio.to_thread(load, change)
    except ArtifactError as error:
        log.error("model refused, keeping the one in force", version=change.version, why=str(error))
        return True
    except OSError as error:
        log.warning("registry does not answer", why=str(error))
        return False
    in_force.champion = scorer
    log.info("model swapped", name=scorer.name, version=scorer.version)
    return True
