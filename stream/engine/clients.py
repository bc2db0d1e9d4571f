"""How every client of the namespace's broker is made: one function a library."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from confluent_kafka import KafkaException

from stream.errors import Refused, Unavailable
from stream.settings import Settings

_START_S = 2.0

# At debug level it writes each request, and a SASL request holds the password.
logging.getLogger("aiokafka.conn").setLevel(logging.WARNING)


def client_options(settings: Settings) -> dict[str, Any]:
    """What every aiokafka client of this namespace is made with."""
    options: dict[str, Any] = {
        "bootstrap_servers": settings.broker,
        "security_protocol": _protocol(settings),
    }
    if settings.broker_tls:
        options["ssl_context"] = tls_context(settings)
    if settings.broker_sasl is not None:
        options |= {
            "sasl_mechanism": settings.broker_sasl,
            "sasl_plain_username": settings.broker_user,
            "sasl_plain_password": _password(settings),
        }
    return options


def librdkafka_options(settings: Settings) -> dict[str, Any]:
    """What every confluent-kafka client of this namespace is made with."""
    options: dict[str, Any] = {
        "bootstrap.servers": settings.broker,
        "security.protocol": _protocol(settings),
        "log_level": 0,
    }
    if settings.broker_tls:
        tls_context(settings)  # its errors name the setting
        options |= {
            "enable.ssl.certificate.verification": True,
            "ssl.endpoint.identification.algorithm": "https",
        }
        files = {
            "ssl.ca.location": settings.broker_ca,
            "ssl.certificate.location": settings.broker_certificate,
            "ssl.key.location": settings.broker_key,
        }
        options |= {name: str(path) for name, path in files.items() if path is not None}
    if settings.broker_sasl is not None:
        options |= {
            "sasl.mechanism": settings.broker_sasl,
            "sasl.username": settings.broker_user,
            "sasl.password": _password(settings),
        }
    return options


def faust_options(settings: Settings) -> dict[str, Any]:
    """What a Faust app of this namespace is made with; its consumer and producer share it."""
    import faust  # half a second that only roles need

    options: dict[str, Any] = {"broker": f"kafka://{settings.broker}"}
    context = tls_context(settings) if settings.broker_tls else None
    if settings.broker_sasl is not None:
        options["broker_credentials"] = faust.SASLCredentials(
            username=settings.broker_user,
            password=_password(settings),
            mechanism=settings.broker_sasl,
            ssl_context=context,
        )
    elif context is not None:
        options["broker_credentials"] = faust.SSLCredentials(context)
    return options


def tls_context(settings: Settings) -> ssl.SSLContext:
    """TLS 1.2 or later, the broker's certificate and name verified.

    Raises Refused, naming the setting, for a file that is not what it should be.
    """
    try:
        context = ssl.create_default_context(cafile=settings.broker_ca)
    except (ssl.SSLError, OSError) as error:
        raise Refused(
            f"TAPEWIRE_BROKER_CA={settings.broker_ca}: expected certificates as PEM: "
            f"{error.strerror or error}"
        ) from None
    if settings.broker_certificate is not None and settings.broker_key is not None:
        try:
            context.load_cert_chain(
                settings.broker_certificate, settings.broker_key, password=_no_passphrase
            )
        except (ssl.SSLError, OSError, ValueError) as error:
            raise Refused(
                f"TAPEWIRE_BROKER_CERTIFICATE={settings.broker_certificate}, TAPEWIRE_BROKER_KEY="
                f"{settings.broker_key}: expected a certificate and its key as PEM, the key "
                f"without a passphrase: {getattr(error, 'strerror', None) or error}"
            ) from None
    return context


def _no_passphrase() -> str:
    raise ValueError("the key has a passphrase")


def _protocol(settings: Settings) -> str:
    transport = "SSL" if settings.broker_tls else "PLAINTEXT"
    return transport if settings.broker_sasl is None else f"SASL_{transport}"


def _password(settings: Settings) -> str:
    return settings.broker_password.get_secret_value() if settings.broker_password else ""


def unavailable(settings: Settings, error: KafkaException) -> Unavailable:
    """What a confluent-kafka client that got no answer means."""
    return Unavailable(f"TAPEWIRE_BROKER={settings.broker}: {error.args[0].str()}")


def reading_options(settings: Settings, *, isolation: str) -> dict[str, Any]:
    """What a confluent-kafka consumer outside any group is made with."""
    return {
        **librdkafka_options(settings),
        "group.id": f"{settings.namespace}-reader",
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "auto.offset.reset": "earliest",
        "isolation.level": isolation,
    }


@contextlib.asynccontextmanager
async def reader(
    settings: Settings, *, committed: bool = True, **options: Any
) -> AsyncIterator[AIOKafkaConsumer]:
    """A started consumer outside any group; stopped at the end, also where its start was cut."""
    isolated = committed and not settings.embedded
    consumer = AIOKafkaConsumer(
        **client_options(settings),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed" if isolated else "read_uncommitted",
        check_crcs=not settings.embedded,  # the embedded broker's batches fail their CRC
        **options,
    )
    try:
        await started(consumer)
        yield consumer
    finally:
        await consumer.stop()


async def started(client: AIOKafkaConsumer | AIOKafkaProducer) -> None:
    """Start `client`; when cut meanwhile, let the connection be made, so that it can be closed."""
    starting = asyncio.ensure_future(client.start())
    starting.add_done_callback(lambda task: task.cancelled() or task.exception())
    try:
        await asyncio.shield(starting)
    except asyncio.CancelledError:
        await asyncio.wait([starting], timeout=_START_S)
        starting.cancel()
        raise
