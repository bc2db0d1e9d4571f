from __future__ import annotations

from collections.abc import Callable

import pytest

from stream.settings import Settings
from tests.integration.faults.fuzz import fuzz
from tests.integration.faults.mutants import TOPICS

pytestmark = pytest.mark.stack


def test_mutated_messages_are_events_or_dead_letters(settings: Callable[..., Settings]) -> None:
    letters = fuzz(settings(mode="live", partitions=2), seed=1, n=800).letters
    assert set(letters) == set(TOPICS)
    assert min(letters.values()) > 200
