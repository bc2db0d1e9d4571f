"""What every process of the command line does: logs to stderr, a known error as one line."""

from __future__ import annotations

import errno
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from stream.errors import Refused, TapewireError

EXIT_INTERRUPTED = 130
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)


def log_to_stderr(level: str) -> None:
    """Logs as key=value lines on stderr, from `level` on; results alone go to stdout."""
    logging.basicConfig(level=level.upper(), stream=sys.stderr, format="%(name)s %(message)s")
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(
                key_order=["timestamp", "level", "event"], bool_as_flag=False
            ),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


@contextmanager
def exit_code() -> Iterator[None]:
    """Ends the process on a known error: one line on stderr, and the error's exit code."""
    try:
        yield
    except TapewireError as error:
        print(f"tapewire: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:
        if error.errno not in _DISK:
            raise
        print(
            f"tapewire: {error}; expected room and rights there and in TAPEWIRE_DATA_DIR",
            file=sys.stderr,
        )
        sys.exit(Refused.exit_code)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
