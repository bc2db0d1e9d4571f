"""What can go wrong, sorted by what to do about it.

TapewireError
├── Rejected        this record: dead-letter it, go on with the next
├── Unavailable     a server is away: wait and try again (exit code 5)
└── Refused         a setting, state or artifact does not fit: stop and say so (exit code 2)
"""


class TapewireError(Exception):
    """Root of all errors raised on purpose."""

    exit_code = 2  # of a process that it ends


class Rejected(TapewireError):
    """The record cannot be used; the message names the field and what was expected."""


class Unavailable(TapewireError):
    """A server did not answer; the message names its setting. Worth another try."""

    exit_code = 5


class Refused(TapewireError):
    """Going on would be wrong; the message says what was expected, what came, and what to do."""
