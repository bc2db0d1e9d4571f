"""The explain role put together: signals in, models from the registry, explanations out."""

from __future__ import annotations

import asyncio
import time
from functools import lru_cache

from models.explain import Explainer
from models.registry import Registry
from stream.engine.app import run_role
from stream.engine.step import RoleSpec
from stream.errors import Unavailable
from stream.explaining.step import ExplainStep
from stream.settings import Settings

MODELS = 4  # kept in memory: the champion, the one before, and what a backlog holds


async def run_explain(settings: Settings, *, stop: asyncio.Event | None = None) -> None:
    """Run the role until `stop` or a signal."""
    registry = Registry(settings.database.get_secret_value(), settings.namespace)

    @lru_cache(MODELS)
    def load(version: str) -> Explainer:
        try:
            return Explainer(registry.load(version))
        except ConnectionError as error:
            raise Unavailable(str(error)) from error

    clock = None if settings.mode == "replay" else time.time
    spec = RoleSpec("explain", ("signals",), lambda partition: ExplainStep(load, clock))
    await run_role(settings, spec, stop=stop)
