"""The command line's root: its verbs, its errors, its exit codes.

0 done; 1 a check found something wrong; 2 a setting or state does not fit; 3 a model was refused by
its gates; 4 signals come from another build; 5 a server is away; 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import errno
import logging
import sys

import structlog
import typer
from rich.console import Console

from stream.cli import demo, dlq, learn, look, prove, run
from stream.errors import Refused, TapewireError, Unavailable

EXIT_REFUSED = 2
EXIT_MODEL_REFUSED = 3
EXIT_UNAVAILABLE = 5
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)

app = typer.Typer(
    name="tapewire",
    help="News and ticks in over Kafka, explained signals out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    epilog="Exit codes: 0 done, 1 a check failed, 2 a setting does not fit, 3 a model was refused, "
    "4 signals of another build, 5 a server is away, 130 stopped by Ctrl-C. "
    "Settings: TAPEWIRE_* (README, Settings).",
)
app.command()(demo.demo)
app.command()(run.worker)
app.command()(run.migrate)
app.command()(run.load)
app.command()(look.tail)
app.command()(learn.retrain)
app.add_typer(learn.models, name="models")
app.command()(prove.verify)
app.add_typer(dlq.dlq, name="dlq")
app.command()(look.sql)
app.command()(look.schema)
app.command()(look.check)


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


def main() -> None:
    """Run the command line; every known error is one line on stderr."""
    log_to_stderr("warning")
    try:
        app()
    except learn.ModelRefused as error:
        _say(error)
        sys.exit(EXIT_MODEL_REFUSED)
    except Unavailable as error:
        _say(error)
        sys.exit(EXIT_UNAVAILABLE)
    except (Refused, TapewireError) as error:
        _say(error)
        sys.exit(EXIT_REFUSED)
    except OSError as error:
        if error.errno not in _DISK:
            raise
        _say(f"{error}; expected room and rights there and in TAPEWIRE_DATA_DIR")
        sys.exit(EXIT_REFUSED)
    except KeyboardInterrupt:
        sys.exit(demo.EXIT_INTERRUPTED)


def _say(error: object) -> None:
    Console(stderr=True, highlight=False).print(f"tapewire: {error}", markup=False, soft_wrap=True)
