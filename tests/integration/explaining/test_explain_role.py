"""The explain role on a real broker and registry: what each actionable signal rested on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from math import log
from typing import Any

import confluent_kafka as kafka
import pytest

from models.artifact import Artifact
from models.registry import Registry
from models.scorer import ArtifactScorer
from stream.archive.migrate import migrate
from stream.engine.topics import create_topics, lag
from stream.events import DeadLetter, ModelRef, Signal, SignalExplained, decode, encode
from stream.explaining.agent import run_explain
from stream.settings import Settings
from tests.integration.archive.test_archive_sink import signal
from tests.integration.engine.log import read, until
from tests.unit.models.test_artifact_scorer import NAMES, boosters, make_artifact

pytestmark = pytest.mark.stack


@pytest.fixture
async def mine(settings: Callable[..., Settings]) -> Settings:
    """A namespace of one partition with its topics and its schema."""
    made = settings(partitions=1)
    await create_topics(made)
    await asyncio.to_thread(migrate, made.database.get_secret_value(), made.namespace)
    return made


@contextlib.asynccontextmanager
async def explaining(settings: Settings) -> AsyncIterator[None]:
    """The role, until all that was published is read, then stopped as SIGTERM stops it."""
    stop = asyncio.Event()
    role = asyncio.create_task(run_explain(settings, stop=stop))
    group = settings.group("explain")

    def all_read() -> bool:
        position, end = asyncio.run(lag(settings, group)).get("signals", (0, 1))
        return position >= end

    try:
        yield
        await until(all_read, role=role)
    finally:
        stop.set()
        await asyncio.wait_for(role, 30)


def of(artifact: Artifact, signal_id: str, *values: float | None, **changes: Any) -> Signal:
    model = ModelRef(name=artifact.name, version=artifact.version, role="champion")
    features = dict(zip(NAMES, values or (2.0, None, -0.3, 0.0), strict=True))
    given = {"model": model, "features": features, "feature_set": "test", "actionable": True}
    return signal(signal_id, **given | changes)


def publish(settings: Settings, *values: Signal | bytes) -> None:
    producer = kafka.Producer({"bootstrap.servers": settings.broker})
    for value in values:
        raw = encode(value) if isinstance(value, Signal) else value
        producer.produce(settings.topic("signals"), raw, b"AAPL", partition=0)
    assert producer.flush(10) == 0


def explained(settings: Settings) -> list[SignalExplained]:
    return [decode(SignalExplained, value) for _, value in read(settings, "signal-explanations")[0]]


async def test_each_actionable_signal_is_explained_once_also_after_a_restart(
    mine: Settings,
) -> None:
    artifact = make_artifact(boosters())
    registry = Registry(mine.database.get_secret_value(), mine.namespace)
    await asyncio.to_thread(registry.save, artifact, {})
    vectors = {"up": (2.0, None, -0.3, 0.0), "down": (-2.0, 0.1, 1.0, None)}
    publish(
        mine,
        of(artifact, "up", *vectors["up"]),
        of(artifact, "abstains", actionable=False),
        of(artifact, "ruled", model=ModelRef(name="rules", version="rules-1", role="rules")),
    )
    async with explaining(mine):
        pass
    publish(mine, of(artifact, "down", *vectors["down"]))
    async with explaining(mine):
        pass
    found = await asyncio.to_thread(explained, mine)
    assert [each.signal_id for each in found] == ["up", "down"]
    for each in found:
        score = ArtifactScorer(artifact).score(vectors[each.signal_id])
        total = (each.base or 0.0) + sum(one.log_odds for one in each.contributions)
        assert total == pytest.approx(log(score.bullish / score.bearish), abs=1e-9)
        assert each.log_odds == pytest.approx(total)
        values = {one.feature: one.value for one in each.contributions}
        assert values == dict(zip(NAMES, vectors[each.signal_id], strict=True))
        assert each.reason is None


async def test_what_cannot_be_explained_says_why_and_the_next_one_is(mine: Settings) -> None:
    artifact, cut = make_artifact(boosters()), make_artifact(boosters(), seed=1)
    registry = Registry(mine.database.get_secret_value(), mine.namespace)
    for each in (artifact, cut):
        await asyncio.to_thread(registry.save, each, {})
    with registry._transaction() as connection:
        connection.execute(
            "UPDATE ml_models SET artifact = substr(artifact, 1, 99) WHERE version = %s",
            [cut.version],
        )
    gone = ModelRef(name="lightgbm", version="gone", role="champion")
    publish(
        mine,
        of(artifact, "unknown", model=gone),
        of(cut, "damaged"),
        of(artifact, "other", feature_set_version=2),
        b'{"signal_id": 3}',
        of(artifact, "fine"),
    )
    async with explaining(mine):
        pass
    found = {each.signal_id: each for each in await asyncio.to_thread(explained, mine)}
    reasons = {name: each.reason or "" for name, each in found.items()}
    assert "version gone: expected a stored model, found none" in reasons["unknown"]
    assert "artifact damaged: expected sha256" in reasons["damaged"]
    assert "expected version 2 of feature set 'test', got 1" in reasons["other"]
    assert reasons["fine"] == ""
    assert found["fine"].contributions
    assert not any(found[name].contributions for name in ("unknown", "damaged", "other"))
    ((_, raw),) = read(mine, "dead-letters")[0]
    letter = decode(DeadLetter, raw)
    assert (letter.role, letter.offset) == ("explain", 3)
