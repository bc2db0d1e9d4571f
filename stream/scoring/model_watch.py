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
from stream.events import Alias, ModelChanged, decode
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
    """Keep `in_force` at the aliases until cancelled; sets `caught_up` once it has the champion.

    `load` fetches and checks an artifact, and may block; what it refuses leaves `in_force` alone.
    """
    async with reader(settings, fetch_max_wait_ms=100) as consumer:
        topic = settings.topic("models")
        everywhere = [TopicPartition(topic, p) for p in range(settings.partitions)]
        consumer.assign(everywhere)
        await consumer.seek_to_beginning(*everywhere)
        ends = await consumer.end_offsets(everywhere)
        latest: dict[Alias, ModelChanged] = {}
        while True:
            wait_s = 0.1
            if all([await consumer.position(tp) >= ends[tp] for tp in everywhere]):
                for alias in sorted(latest, reverse=True):  # the champion waits for nobody
                    if await _take(latest[alias], in_force, load):
                        del latest[alias]
                if "champion" not in latest:
                    caught_up.set()
                if latest:
                    wait_s = _RETRY_S
            fetched = await consumer.getmany(timeout_ms=int(wait_s * 1000))
            for records in fetched.values():
                for record in records:
                    if change := _read(record.value):
                        latest[change.alias] = change


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
        in_force.put(change.alias, None)
        log.info("model withdrawn", alias=change.alias)
        return True
    try:
        scorer = await asyncio.to_thread(load, change)
    except OSError as error:
        log.warning("registry does not answer", why=str(error))
        return False
    except Exception as error:
        if change.alias == "champion" and not isinstance(error, ArtifactError):
            raise
        log.error("model refused, keeping the one in force", version=change.version, why=str(error))
        return True
    in_force.put(change.alias, scorer)
    log.info("model swapped", alias=change.alias, name=scorer.name, version=scorer.version)
    return True
