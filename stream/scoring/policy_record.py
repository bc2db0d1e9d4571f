"""Keeps what a signal's policy_id stands for in the table `policies`."""

from __future__ import annotations

import asyncio

import msgspec
import psycopg
import structlog
from psycopg.types.json import Jsonb
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential

from stream.scoring.policy import Policy
from stream.settings import Settings

log = structlog.get_logger()

_CONNECT_S = 5
_LONGEST_PAUSE_S = 60.0
_INSERT = """
INSERT INTO policies (policy_id, policy) VALUES (%s, %s) ON CONFLICT (policy_id) DO NOTHING
"""


async def record_policy(settings: Settings, policy: Policy) -> None:
    """Store the policy, trying on until the database takes it: scoring does not wait for SQL."""
    async for attempt in AsyncRetrying(
        retry=retry_if_exception_type(psycopg.OperationalError),
        wait=wait_exponential(max=_LONGEST_PAUSE_S),
        before_sleep=_say,
    ):
        with attempt:
            await asyncio.to_thread(_store, settings, policy)


def _say(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome is not None else None
    log.warning("policy not recorded yet", why=str(error).strip())


def _store(settings: Settings, policy: Policy) -> None:
    with psycopg.connect(
        settings.database.get_secret_value(),
        connect_timeout=_CONNECT_S,
        options=f"-c search_path={settings.namespace}",
    ) as connection:
        connection.execute(_INSERT, (policy.policy_id, Jsonb(msgspec.to_builtins(policy))))
