"""Client libraries log every reconnect attempt: one line each ten seconds is enough."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

EVERY_S = 10.0
_LOGGERS = ("aiokafka", "faust", "mode")


class OncePer(logging.Filter):
    """Lets a client library's same message through once every `EVERY_S` seconds, in one line."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now = now
        self._last: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to log `record`; a client's loses its traceback."""
        if record.name.partition(".")[0] not in _LOGGERS:
            return True
        now, message = self._now(), str(record.msg)
        if now - self._last.get(message, -EVERY_S) < EVERY_S:
            return False
        self._last[message] = now
        record.exc_info = record.exc_text = record.stack_info = None
        return True


def quiet_client_logs() -> None:
    """Warnings and worse of the client libraries only, each message once in `EVERY_S`."""
    for handler in (*logging.getLogger().handlers, logging.lastResort):
        if handler is not None and not any(isinstance(f, OncePer) for f in handler.filters):
            handler.addFilter(OncePer())
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    # A timer a few milliseconds late on a busy machine is no news.
    logging.getLogger("mode.timers").setLevel(logging.ERROR)
