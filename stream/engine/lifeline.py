"""Children that cannot outlive their parent."""

from __future__ import annotations

import ctypes
import signal

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def die_with_parent() -> None:
    """In a child, before exec: be killed when the parent dies, however it dies (Linux)."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
