"""How a study says what it found: in words, and as tables of its page."""

from __future__ import annotations

from collections.abc import Mapping

from training import page
from training.gates import Verdict
from training.skill import Bounds


def sure(found: Bounds) -> str:
    """In words, whether a mean is above or below zero by its 90 % interval."""
    if found.low is None or found.high is None:
        return "too few sessions to tell"
    if found.low > 0.0:
        return "clear of zero, above"
    return "clear of zero, below" if found.high < 0.0 else "not clear of zero"


def interval(found: Bounds) -> str:
    """The interval and the sessions that it is made of."""
    if found.low is None or found.high is None:
        return f"{found.n_sessions} sessions"
    return f"90 % interval {found.low:.4f} to {found.high:.4f}, {found.n_sessions} sessions"


def checks(verdict: Verdict) -> str:
    """The table of the checks."""
    lines = [
        (each.name, each.says, _number(each.value), each.expected, each.note)
        for each in verdict.checks
    ]
    return page.table(("check", "says", "got", "expected", ""), lines, marked=1)


def counted(counts: Mapping[str, int]) -> str:
    """The table of what was left out, and why."""
    lines = [(why, f"{n:,}") for why, n in counts.items()] or [("none", "0")]
    return page.table(("why rows were left out", "rows"), lines)


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4g}"
