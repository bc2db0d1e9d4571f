"""Keeps what a signal's policy_id and build stand for, in the tables `policies` and `builds`."""

from __future__ import annotations

import asyncio

import msgspec
import psycopg
from psycopg.types.json import Jsonb

from stream.database import CONNECT_S, explained
from stream.engine.patience import insist
from stream.scoring.build import Build
from stream.scoring.policy import Policy
from stream.settings import Settings

_LONGEST_PAUSE_S = 60.0
_POLICY = "INSERT INTO policies (policy_id, policy) VALUES (%s, %s) ON CONFLICT DO NOTHING"
_BUILD = "INSERT INTO builds (build_id, build) VALUES (%s, %s) ON CONFLICT DO NOTHING"


async def record(settings: Settings, policy: Policy, build: Build) -> None:
    """Store both, trying on while the database is away: scoring does not wait for SQL.

    Raises Refused where the database refuses us.
    """
    await insist(
        lambda: asyncio.to_thread(_store, settings, policy, build),
        "the database, to record the policy in,",
        longest_pause_s=_LONGEST_PAUSE_S,
    )


def _store(settings: Settings, policy: Policy, build: Build) -> None:
    try:
        with psycopg.connect(
            settings.database.get_secret_value(),
            connect_timeout=CONNECT_S,
            options=f"-c search_path={settings.namespace}",
        ) as connection:
            connection.execute(_POLICY, (policy.policy_id, Jsonb(msgspec.to_builtins(policy))))
            connection.execute(_BUILD, (build.build_id, Jsonb(msgspec.to_builtins(build))))
    except psycopg.OperationalError as error:
        raise explained(error) from None
