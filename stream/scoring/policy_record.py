"""Keeps what a signal's policy_id stands for in the table `policies`."""

from __future__ import annotations

import asyncio

import msgspec
import psycopg
import structlog
from psycopg.types.json import Jsonb
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential

from stream.database import CONNECT_S, explained
from stream.errors import Unavailable
from stream.scoring.policy import Policy
from stream.settings import Settings

log = structlog.get_logger()

_LONGEST_PAUSE_S = 60.0
_INSERT = """
INSERT INTO policies (policy_id, policy) VALUES (%s, %s) ON CONFLICT (policy_id) DO NOTHING
"""


async def record_policy(settings: Settings, policy: Policy) -> None:
    """Store the policy, trying on while the database is away: scoring does not wait for SQL.

    Raises Refused where the database refuses us.
    """
    async for attempt in AsyncRetrying(
        retry=retry_if_exception_type(Unavailable),
        wait=wait_exponential(max=_LONGEST_PAUSE_S),
        before_sleep=_say,
    ):
        with attempt:
            await asyncio.to_thread(_store, settings, policy)


def _say(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome is not None else None
    log.warning("policy not recorded yet", why=str(error).strip())


def _store(settings: Settings, policy: Policy) -> None:
    try:
        with psycopg.connect(
            settings.database.get_secret_value(),
            connect_timeout=CONNECT_S,
            options=f"-c search_path={settings.namespace}",
        ) as connection:
            connection.execute(_INSERT, (policy.policy_id, Jsonb(msgspec.to_builtins(policy))))
    except psycopg.OperationalError as error:
        raise explained(error) from None
