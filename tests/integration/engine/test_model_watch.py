"""Which model is in force when `score` starts, and when the champion moves."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import pytest

from models.artifact import ArtifactError
from models.scorer import Scorer
from stream.engine.topics import create_topics, partition_of
from stream.events import Alias, ModelChanged, encode
from stream.scoring import model_watch
from stream.scoring.agent import rules_model
from stream.scoring.configured import policy_of
from stream.scoring.model_watch import watch_models
from stream.scoring.step import ModelInForce
from stream.settings import Settings
from tests.integration.engine.log import publish, until

pytestmark = pytest.mark.stack

AT = 1_700_000_000_000


def announce(settings: Settings, *versions: str | None, alias: Alias = "champion") -> None:
    moved = [
        ModelChanged(alias=alias, version=v, sha256=None, moved_at=datetime.now(UTC))
        for v in versions
    ]
    key = alias.encode()
    place = partition_of(key, settings.partitions)
    publish(settings, "models", [(key, encode(each), place, AT) for each in moved])


@contextlib.asynccontextmanager
async def watched(
    settings: Settings, load: Callable[[ModelChanged], Scorer]
) -> AsyncIterator[ModelInForce]:
    in_force = ModelInForce(rules_model(policy_of(settings)))
    caught_up = asyncio.Event()
    watch = asyncio.create_task(watch_models(settings, in_force, load, caught_up=caught_up))
    try:
        await asyncio.wait_for(caught_up.wait(), 30)
        yield in_force
    finally:
        watch.cancel()
        await asyncio.wait({watch})


async def test_the_champion_is_in_force_before_the_role_starts_and_then_follows_the_topic(
    broker_settings: Settings,
) -> None:
    asked: list[str | None] = []

    def load(change: ModelChanged) -> Scorer:
        asked.append(change.version)
        if change.version == "unfit":
            raise ArtifactError("expected another feature set")
        if change.version == "broken":
            raise ZeroDivisionError
        return rules_model(policy_of(broker_settings))

    await create_topics(broker_settings)
    async with watched(broker_settings, load) as in_force:
        assert in_force.champion is None
        announce(broker_settings, "one", "two")
        await until(lambda: in_force.champion is not None)
    asked.clear()
    async with watched(broker_settings, load) as in_force:
        first = in_force.champion
        assert first is not None
        assert "one" not in asked
        announce(broker_settings, "unfit")
        await until(lambda: "unfit" in asked)
        assert in_force.champion is first
        announce(broker_settings, None)
        await until(lambda: in_force.champion is None)
        announce(broker_settings, "broken", alias="challenger")
        await until(lambda: "broken" in asked)
        announce(broker_settings, "three", alias="challenger")
        await until(lambda: in_force.challenger is not None)
        assert in_force.champion is None
    async with watched(broker_settings, load) as in_force:
        await until(lambda: in_force.challenger is not None)
        announce(broker_settings, None, alias="challenger")
        await until(lambda: in_force.challenger is None)


async def test_while_the_registry_is_away_the_newest_champion_is_asked_for(
    broker_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_watch, "_RETRY_S", 0.05)
    asked: list[str | None] = []

    def load(change: ModelChanged) -> Scorer:
        asked.append(change.version)
        if change.version == "old":
            if len(asked) == 3:
                announce(broker_settings, "new")
            raise OSError("no answer")
        return rules_model(policy_of(broker_settings))

    await create_topics(broker_settings)
    announce(broker_settings, "old")
    async with watched(broker_settings, load) as in_force:
        assert in_force.champion is not None
    assert asked[:3] == ["old"] * 3
    assert asked[-1] == "new"
