"""Broker, PostgreSQL and Valkey on this machine, for as long as the block lasts."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from stream.embedded.broker import start_broker
from stream.embedded.postgres import start_postgres
from stream.embedded.process import own_folder
from stream.embedded.valkey import start_valkey


@dataclass(frozen=True)
class Services:
    """Where the servers are."""

    broker: str
    database: str
    redis: str
    postgres_dir: Path
    run_id: str
    check: Callable[[], None]  # raises Unavailable once the database has ended

    def environment(self) -> dict[str, str]:
        """Settings that point every role at these servers."""
        return {
            "TAPEWIRE_BROKER": self.broker,
            "TAPEWIRE_DATABASE": self.database,
            "TAPEWIRE_REDIS": self.redis,
            "TAPEWIRE_EMBEDDED": "true",
            "TAPEWIRE_RUN_ID": self.run_id,
            "TAPEWIRE_EMBEDDED_POSTGRES": str(self.postgres_dir),
        }


@contextlib.contextmanager
def start_embedded(data_dir: Path) -> Iterator[Services]:
    """Run all three, with data in a run folder under `data_dir` that nobody else uses."""
    with (
        own_folder(data_dir) as folder,
        start_postgres(folder / "postgres") as postgres,
        start_valkey(folder / "valkey") as redis,
        start_broker() as broker,
    ):
        run_id = secrets.token_hex(8)
        yield Services(broker, postgres.dsn, redis, postgres.data_dir, run_id, postgres.check)
