"""Waiting for a server that is away or cannot go on: back-off, a log line now and then, no end."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential

from stream.errors import Unavailable

log = structlog.get_logger()

_LOG_EVERY_S = 10.0
_LONGEST_PAUSE_S = 5.0
T = TypeVar("T")


async def insist(
    call: Callable[[], Awaitable[T]],
    server: str,
    *,
    longest_pause_s: float = _LONGEST_PAUSE_S,
) -> T:
    """What `call` returns, as soon as it raises Unavailable no more."""
    began = time.monotonic()
    logged = -_LOG_EVERY_S

    def say(state: RetryCallState) -> None:
        nonlocal logged
        now = time.monotonic()
        if now - logged >= _LOG_EVERY_S and state.outcome is not None:
            logged = now
            why = str(state.outcome.exception()).strip()
            log.warning(f"waiting for {server}", for_s=round(now - began, 1), why=why)

    async for attempt in AsyncRetrying(
        retry=retry_if_exception_type(Unavailable),
        wait=wait_exponential(multiplier=0.1, max=longest_pause_s),
        before_sleep=say,
    ):
        with attempt:
            result = await call()
    if logged >= 0:
        log.info(f"{server} is back", away_s=round(time.monotonic() - began, 1))
    return result
