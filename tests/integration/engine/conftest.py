from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stream.engine.app import run_role
from stream.engine.step import RoleSpec
from stream.engine.topics import create_topics
from stream.settings import Settings
from tests.integration.engine.counting import Running


@pytest.fixture
async def broker_settings(namespace: str, kafka: str, tmp_path: Path) -> Settings:
    """Settings of a replay namespace whose topics are there."""
    settings = Settings(broker=kafka, namespace=namespace, mode="replay", data_dir=tmp_path)
    await create_topics(settings)
    return settings


@pytest.fixture
def running() -> Running:
    """Runs a role while its block lasts, and stops it as SIGTERM would."""

    @contextlib.asynccontextmanager
    async def run(settings: Settings, spec: RoleSpec) -> AsyncIterator[asyncio.Task[None]]:
        stop = asyncio.Event()
        role = asyncio.create_task(run_role(settings, spec, stop=stop))
        try:
            yield role
        finally:
            stop.set()
            await asyncio.wait_for(role, 30)

    return run
