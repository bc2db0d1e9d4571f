"""A Faust app that does nothing but hand over chunks: state and delivery are the engine's."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from faust import App
from faust.assignor.partition_assignor import PartitionAssignor
from faust.types.tuples import TP

from stream.engine.clients import faust_options
from stream.engine.quiet import quiet_client_logs
from stream.engine.transport import Transport
from stream.errors import Unavailable
from stream.settings import Settings

_COMMIT_S = 0.1  # how far behind the group's committed offsets may be: loaders watch them
_SESSION_S = 6.0
_REBALANCE_S = 8.0  # a worker gives up its partitions in 5 s; one that died holds up the others
_METADATA_MS = 5_000  # who joined knowing no topic, as while a broker starts, has nothing till then
_FOLLOWERS_S = 0.3
START_S = 60.0  # a broker that answers takes a second
_LOOK_S = 0.1
_CANCEL_S = 1.0


def _instance(settings: Settings, role: str) -> str | None:
    """A static member; the embedded broker knows none."""
    if not settings.instance or settings.embedded:
        return None
    return f"{settings.group(role)}-{settings.instance}"


class MockSafeAssignor(PartitionAssignor):  # type: ignore[misc]
    """Leads a group on the embedded broker, which refuses followers that sync after the leader."""

    def assign(self, cluster: Any, member_metadata: Any) -> Any:
        if len(member_metadata) > 1:
            time.sleep(_FOLLOWERS_S)  # in the consumer's own thread
        return super().assign(cluster, member_metadata)


async def start_app(app: App) -> None:
    """Start it. Faust's own start waits for ever when what it waits for has died.

    Raises what crashed the app meanwhile, and Unavailable when it takes longer than `START_S`.
    """
    tasks = {asyncio.ensure_future(app.start()), asyncio.ensure_future(crash_of(app))}
    try:
        done, _ = await asyncio.wait(tasks, timeout=START_S, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            raise Unavailable(f"the group was not joined within {START_S:g} s of the start")
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=_CANCEL_S)


async def crash_of(app: App) -> None:
    """Wait for what crashes the app; raises it."""
    while app.crash_reason is None:  # noqa: ASYNC110 - Faust sets no event
        await asyncio.sleep(_LOOK_S)
    raise app.crash_reason


def build_app(
    settings: Settings,
    role: str,
    inputs: tuple[str, ...],
    *,
    feed: Callable[[Any], None],
    resume: Callable[[set[TP]], Awaitable[Mapping[TP, int]]],
    revoke: Callable[[set[TP]], Awaitable[None]],
) -> App:
    """A Faust app whose one agent hands every chunk of `inputs` to `feed`."""
    quiet_client_logs()
    datadir = settings.data_dir / "faust"
    datadir.mkdir(parents=True, exist_ok=True)
    app = App(
        settings.group(role),
        **faust_options(settings),
        store="memory://",
        datadir=datadir,
        topic_partitions=settings.partitions,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        broker_commit_interval=_COMMIT_S,
        broker_check_crcs=not settings.embedded,
        broker_commit_livelock_soft_timeout=1e9,
        stream_processing_timeout=1e9,  # Faust's own look-out logs each partition each second
        broker_session_timeout=_SESSION_S,
        broker_heartbeat_interval=1.0,
        broker_rebalance_timeout=_REBALANCE_S,
        stream_wait_empty=False,
        consumer_auto_offset_reset="earliest",
        consumer_metadata_max_age_ms=_METADATA_MS,
        consumer_group_instance_id=_instance(settings, role),
        **({"PartitionAssignor": MockSafeAssignor} if settings.embedded else {}),
    )
    app.transport = Transport(
        app.conf.broker,
        app,
        isolation="read_uncommitted" if settings.embedded else "read_committed",
        resume=resume,
        revoke=revoke,
    )
    topics = [settings.topic(name) for name in inputs]
    source = app.topic(*topics, key_serializer="raw", value_serializer="raw")

    async def chunks(stream: Any) -> None:
        async for event in stream.noack().events():
            feed(event.message)

    app.agent(source, name=f"{role}-chunks")(chunks)
    return app
