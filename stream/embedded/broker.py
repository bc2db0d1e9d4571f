"""librdkafka's in-process mock cluster: a broker for demos, gone with the process.

It keeps about 5 MiB a partition, makes a topic when asked about it, and has neither fencing nor
isolation nor topic ids.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import confluent_kafka

from stream.errors import Unavailable


@contextlib.contextmanager
def start_broker() -> Iterator[str]:
    """Run the broker until the block ends; yields its bootstrap address."""
    owner = confluent_kafka.Producer(
        {"bootstrap.servers": "embedded", "test.mock.num.brokers": 1, "log_level": 0}
    )
    brokers = owner.list_topics(timeout=5).brokers.values()
    if not brokers:
        raise Unavailable("the embedded broker did not answer in 5 s")
    try:
        yield ",".join(f"{broker.host}:{broker.port}" for broker in brokers)
    finally:
        owner.purge()
        del owner
