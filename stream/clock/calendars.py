"""Which calendars the clock states: those of the settings, and those that instruments name."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from stream.clock.calendar import ticks_in_force
from stream.engine.clients import client_options, started
from stream.errors import Refused
from stream.events import Instrument, decode
from stream.settings import Settings

log = structlog.get_logger()

_SOME_TIME_US = 1_704_067_200_000_000  # 2024: a calendar that knows no session of it is unusable


class CalendarsInUse:
    """Reads the topic `instruments` whole and stays with it, outside any group."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._found = {settings.calendar, *settings.calendars}
        self._unusable: set[str] = set()
        self._consumer = AIOKafkaConsumer(
            **client_options(settings), enable_auto_commit=False, auto_offset_reset="earliest"
        )

    async def start(self) -> None:
        """Connect, and read what is there."""
        for calendar in self._found:
            ticks_in_force(calendar, _SOME_TIME_US)  # a setting that names no calendar ends it here
        await started(self._consumer)
        topic = self._settings.topic("instruments")
        places = [TopicPartition(topic, p) for p in range(self._settings.partitions)]
        self._consumer.assign(places)
        for place, end in (await self._consumer.end_offsets(places)).items():
            while await self._consumer.position(place) < end:
                await self.read(timeout_ms=100)

    async def read(self, timeout_ms: int = 0) -> set[str]:
        """Calendars in use by now."""
        while fetched := await self._consumer.getmany(timeout_ms=timeout_ms):
            for records in fetched.values():
                self._note(record.value for record in records if record.value is not None)
        return self._found

    async def stop(self) -> None:
        """Disconnect."""
        await self._consumer.stop()

    def _note(self, values: Iterable[bytes]) -> None:
        for value in values:
            try:
                calendar = decode(Instrument, value).calendar
            except msgspec.DecodeError:
                continue  # the roles that score it dead-letter it
            if calendar in self._found or calendar in self._unusable:
                continue
            try:
                ticks_in_force(calendar, _SOME_TIME_US)
            except Refused as error:
                self._unusable.add(calendar)
                log.warning("an instrument's calendar is not stated", why=str(error))
            else:
                self._found.add(calendar)
