"""The clock role: beats and session times into every partition of the tape.

Beats stand on a ten-second grid, so a second clock on another machine repeats them, and a
repeated beat changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable

import structlog
from aiokafka import AIOKafkaProducer

from stream.clock.calendar import ticks_between, ticks_in_force
from stream.clock.calendars import CalendarsInUse
from stream.engine.clients import client_options, started
from stream.engine.signals import stop_on_signals
from stream.errors import Refused
from stream.events import MARKET_KEY, ClockTick, encode, micros, moment
from stream.settings import Settings

log = structlog.get_logger()

BEAT_US = 10 * 1_000_000


def due(after: int, until: int, calendars: Iterable[str]) -> list[ClockTick]:
    """Beats and session ticks with after < at <= until, in time order; microseconds. Pure."""
    first = after - after % BEAT_US + BEAT_US
    ticks = [ClockTick(kind="beat", at=moment(at)) for at in range(first, until + 1, BEAT_US)]
    for calendar in sorted(set(calendars)):
        ticks += ticks_between(calendar, after, until)
    return sorted(ticks, key=lambda tick: (micros(tick.at), tick.kind))


async def run_clock(
    settings: Settings,
    *,
    stop: asyncio.Event | None = None,
    now: Callable[[], int] = lambda: time.time_ns() // 1000,
) -> None:
    """Publish until `stop`; `now` gives microseconds since 1970.

    A calendar met for the first time gets the ticks of its two newest sessions: they make up for
    an open or close while no clock ran, and repeat what is known otherwise.

    Raises
    ------
    Refused
        The namespace is a replay: its loader states the time of the past.
    """
    if settings.mode != "live":
        raise Refused(
            "TAPEWIRE_MODE=replay: the clock belongs to a live namespace; "
            "`tapewire load` states the time of the past it replays"
        )
    stop = stop or asyncio.Event()
    stop_on_signals(stop)
    delay_us = int(settings.market_delay_s * 1e6)
    in_use = CalendarsInUse(settings)
    producer = AIOKafkaProducer(**client_options(settings), acks="all")
    known: set[str] = set()
    reached = now() - delay_us - BEAT_US
    try:
        await started(producer)
        await in_use.start()
        while not stop.is_set():
            until = now() - delay_us
            calendars = await in_use.read()
            for calendar in sorted(calendars - known):
                for tick in ticks_in_force(calendar, reached):
                    await publish(producer, settings, tick)
            known |= calendars
            for tick in due(reached, until, calendars):
                await publish(producer, settings, tick)
            reached = max(reached, until)
            left_us = BEAT_US - (now() - delay_us) % BEAT_US
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), max(0.01, left_us / 1e6))
    finally:
        await in_use.stop()
        await producer.stop()


async def publish(producer: AIOKafkaProducer, settings: Settings, tick: ClockTick) -> None:
    """Write `tick` to every partition of the tape."""
    raw = encode(tick)
    topic = settings.topic(settings.tape)
    await asyncio.gather(
        *[
            await producer.send(topic, raw, key=MARKET_KEY.encode(), partition=partition)
            for partition in range(settings.partitions)
        ]
    )
