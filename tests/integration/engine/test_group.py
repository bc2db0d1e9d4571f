"""What a role's group gives its members, and when."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.engine.topics import create_topics
from stream.settings import Settings
from tests.integration.engine.counting import Running, counting
from tests.integration.engine.log import n_members, n_outputs, publish, ticks, until

pytestmark = pytest.mark.stack


async def test_a_group_that_joined_before_its_topics_were_known_is_given_them_later(
    namespace: str, kafka: str, tmp_path: Path, running: Running
) -> None:
    settings = Settings(broker=kafka, namespace=namespace, mode="replay", data_dir=tmp_path)
    async with running(settings, counting()) as role:
        await until(lambda: n_members(settings) == 1, role=role)
        await create_topics(settings)
        publish(settings, "ticks", ticks(100))
        await until(lambda: n_outputs(settings) == 100, role=role)
