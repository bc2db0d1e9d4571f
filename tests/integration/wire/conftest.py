"""The secured servers, started once, and settings that reach them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from stream.settings import Settings
from tests.integration.wire import secured
from tests.integration.wire.secured import STACK, Authorities, Database


@pytest.fixture(scope="session")
def known(tmp_path_factory: pytest.TempPathFactory) -> Authorities:
    """Certificates."""
    return secured.make_authorities(tmp_path_factory.mktemp("wire") / "certificates")


@pytest.fixture(scope="session")
def listeners(
    kafka: str, known: Authorities, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """Listener's name -> address of a secured Kafka; the stack's, once asked for, has its jars."""
    folder = tmp_path_factory.mktemp("wire") / "kafka"
    with secured.kafka_with_tls(STACK / "kafka" / "lib", folder, known) as at:
        yield at


@pytest.fixture(scope="session")
def tls_database(timescale: str, known: Authorities) -> Iterator[Database]:
    """A secured PostgreSQL; the stack's, once asked for, has its packages."""
    with Database(STACK / "timescale" / "root", known).run() as database:
        yield database


@pytest.fixture(scope="session")
def tls_redis(known: Authorities, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a secured Redis."""
    with secured.redis_with_tls(tmp_path_factory.mktemp("wire") / "redis", known) as url:
        yield url


@pytest.fixture
def scram(listeners: dict[str, str], known: Authorities) -> Callable[..., Settings]:
    """Makes settings that reach the broker by SASL_SSL and SCRAM-SHA-512; keywords change them."""

    def make(**changes: object) -> Settings:
        given: dict[str, object] = {
            "broker": listeners["SASL"],
            "broker_tls": True,
            "broker_ca": known.ca.certificate,
            "broker_sasl": "SCRAM-SHA-512",
            "broker_user": secured.USER,
            "broker_password": secured.SCRAM_PASSWORD,
            "partitions": 2,
            **changes,
        }
        return Settings(**given)  # type: ignore[arg-type]

    return make
