"""Drift retrains once in a cool-down; a wrong time is one line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from stream.cli.app import app
from stream.errors import Refused
from stream.jobs.cooldown import decide

NOW = datetime(2024, 3, 5, 17, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("says", "last", "retrain", "why"),
    [
        ("FAIL", None, True, "drift says FAIL"),
        ("FAIL", NOW - 24 * HOUR, True, "drift says FAIL"),
        ("FAIL", NOW - 23 * HOUR, False, "the next may start at 2024-03-05T18:00:00+00:00"),
        ("WARN", None, False, "drift says WARN"),
        ("PASS", NOW - 99 * HOUR, False, "drift says PASS"),
        (None, None, False, "drift says nothing"),
    ],
)
def test_drift_retrains_when_it_fails_and_the_cool_down_has_passed(says, last, retrain, why):
    decision = decide(says, last, NOW, 24 * HOUR)
    assert (decision.retrain, why in decision.why) == (retrain, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "expected one of --retrain, --drift, --outcomes, --served, --compare, got none"),
        (("--drift", "hourly"), "--drift 'hourly': expected five cron fields"),
        (("--drift", "61 * * * *"), "--drift '61 * * * *': expected five cron fields"),
        (("--retrain", "0 3 * * 1-5"), "expected weekdays by name, mon to sun, got 1-5"),
    ],
)
def test_times_that_cannot_be_are_refused(words, said):
    result = CliRunner().invoke(app, ["schedule", *words])
    assert isinstance(result.exception, Refused)
    assert said in str(result.exception)
