"""The market role put together. Its input has one partition: one process works, others stand by."""

from __future__ import annotations

import asyncio

from stream.engine.app import run_role
from stream.engine.step import RoleSpec
from stream.features.vector import FEATURE_SETS
from stream.market.gathering import Gathering, deadline_after
from stream.market.step import MarketStep
from stream.settings import Settings


async def run_market(settings: Settings, *, stop: asyncio.Event | None = None) -> None:
    """Run the role until `stop` or a signal."""
    rule = FEATURE_SETS[settings.feature_set].market
    replay = settings.mode == "replay"

    def make_step(partition: int) -> MarketStep:
        gathering = Gathering(
            settings.partitions,
            deadline_us=deadline_after(rule, replay=replay),
            benchmark=settings.benchmark,
        )
        return MarketStep(gathering, settings.partitions, stamp_outputs=replay)

    await run_role(settings, RoleSpec("market", ("pane-ends",), make_step), stop=stop)
