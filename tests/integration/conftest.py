from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

# aiokafka drops a connection that is being made when its producer is fenced or its consumer cut;
# a client that we leave open ourselves ("Unclosed AIOKafkaProducer") still fails the test.
_DROPPED = ("Unclosed AIOKafkaConnection", "unclosed transport", "unclosed <socket")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/integration/" in str(item.path):
            for message in _DROPPED:
                item.add_marker(pytest.mark.filterwarnings(f"ignore:{message}:ResourceWarning"))


@pytest.fixture(autouse=True)
def garbage_of_this_test_alone() -> Iterator[None]:
    """Collect what a test dropped while its own filters hold."""
    yield
    gc.collect()
