"""Whether drift calls for a new model now. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple


class Decision(NamedTuple):
    """Retrain, or why not."""

    retrain: bool
    why: str


def decide(
    says: str | None, last: datetime | None, now: datetime, cool_down: timedelta
) -> Decision:
    """What to do after a look for drift.

    Parameters
    ----------
    says : of the drift report; None: there is none.
    last : when the last retrain started, however it ended: one that its gates refused would be
        refused again.
    """
    if says != "FAIL":
        return Decision(False, f"drift says {says or 'nothing'}")
    if last is not None and now - last < cool_down:
        due = (last + cool_down).isoformat(timespec="seconds")
        return Decision(False, f"drift says FAIL; the last retrain was {last:%Y-%m-%d %H:%M}, "
                               f"the next may start at {due}")  # fmt: skip
    return Decision(True, "drift says FAIL")
