"""Client libraries log every reconnect attempt: one line each ten seconds is enough."""

from __future__ import annotations

import logging
import time

EVERY_S = 10.0
_LOGGERS = ("aiokafka", "faust", "mode")


class OncePer(logging.Filter):
    """Lets a logger's same message through once every `EVERY_S` seconds."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to log `record`."""
        now = time.monotonic()
        if now - self._last.get(str(record.msg), -EVERY_S) < EVERY_S:
            return False
        self._last[str(record.msg)] = now
        return True


def quiet_client_logs() -> None:
    """Warnings and worse only, rate-limited; tracebacks of retried errors are dropped."""
    root = logging.getLogger()
    for handler in root.handlers:
        if not any(isinstance(f, OncePer) for f in handler.filters):
            handler.addFilter(OncePer())
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
