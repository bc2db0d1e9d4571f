"""Whether a broker lets us in, asked once at start: what refuses us then does not heal."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import Any

from aiokafka import errors
from aiokafka.conn import collect_hosts, create_conn
from aiokafka.protocol.metadata import MetadataRequest

from stream.engine.clients import client_options
from stream.errors import Refused, Unavailable
from stream.settings import Settings

_ANSWER_S = 5.0
_AGAIN_S = 0.2
_EXPIRED = 10  # OpenSSL's X509_V_ERR_CERT_HAS_EXPIRED
_OTHER_NAME = (62, 64)  # ... of a host name or an address that the certificate does not hold
_NOT_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE")


async def reach(settings: Settings, within_s: float = 10.0) -> None:
    """Return as soon as one of the brokers has answered this user.

    Raises
    ------
    Refused
        A broker's certificate or our credentials do not fit.
    Unavailable
        None answered within `within_s` seconds.
    """
    options = client_options(settings)
    del options["bootstrap_servers"]
    now = asyncio.get_running_loop().time
    until = now() + within_s
    while True:
        for host, port, _ in collect_hosts(settings.broker, randomize=False):
            try:
                return await _ask(host, port, options, max(0.1, min(_ANSWER_S, until - now())))
            except (OSError, errors.KafkaError, ValueError) as error:
                why = explain(settings, f"{host}:{port}", error)
            if isinstance(why, Refused):
                raise why
        if now() >= until:
            raise why
        await asyncio.sleep(_AGAIN_S)


async def _ask(host: str, port: int, options: dict[str, Any], answer_s: float) -> None:
    connection = await create_conn(
        host, port, request_timeout_ms=int(answer_s * 1000), client_id="tapewire", **options
    )
    try:
        await connection.send(MetadataRequest([]))  # a listener with SASL closes on strangers here
    finally:
        closed = connection.close()
        with contextlib.suppress(OSError):
            await asyncio.wait([closed], timeout=1.0)


def explain(settings: Settings, place: str, error: Exception) -> Refused | Unavailable:
    """What kept us from `place`, the setting to look at, and what to do. Pure."""
    cause = error.__cause__ if isinstance(error.__cause__, ssl.SSLError) else error
    if isinstance(cause, ssl.SSLCertVerificationError):
        return _untrusted(settings, place, cause)
    if isinstance(cause, ssl.SSLError):
        reason = cause.reason or ""
        if reason in _NOT_TLS:
            return Refused(f"TAPEWIRE_BROKER_TLS=true: {place} does not speak TLS; unset it")
        if "ALERT" in reason:
            return Refused(
                f"TAPEWIRE_BROKER_CERTIFICATE={settings.broker_certificate or ''}: {place} ended "
                f"TLS with {reason}; give a certificate and key that it trusts and that are valid"
            )
    if isinstance(error, errors.SaslAuthenticationFailed):
        return Refused(
            f"TAPEWIRE_BROKER_PASSWORD: {place} refused user {settings.broker_user!r} with "
            f"{settings.broker_sasl}; correct it or TAPEWIRE_BROKER_USER"
        )
    if isinstance(error, errors.UnsupportedSaslMechanismError):
        return Refused(
            f"TAPEWIRE_BROKER_SASL={settings.broker_sasl}: not what {place} offers; {error}"
        )
    if isinstance(error, errors.IllegalSaslStateError):
        return Refused(
            f"TAPEWIRE_BROKER_SASL={settings.broker_sasl}: {place} asks for no password; unset it"
        )
    if isinstance(error, ValueError):  # of the last step of SCRAM
        return Refused(
            f"TAPEWIRE_BROKER={place}: it does not know the password that it asks for; "
            "it may be another server than you mean"
        )
    if isinstance(error, errors.KafkaConnectionError | ConnectionResetError | ssl.SSLError):
        shaken = isinstance(error, errors.KafkaConnectionError)  # closed after TLS was there
        return Unavailable(
            f"TAPEWIRE_BROKER={place}: closed the connection; {_hint(settings, shaken)}?"
        )
    why = "no answer" if isinstance(error, TimeoutError) else str(error) or type(error).__name__
    return Unavailable(f"TAPEWIRE_BROKER={place}: {why}; is the broker running there?")


def _untrusted(settings: Settings, place: str, error: ssl.SSLCertVerificationError) -> Refused:
    if error.verify_code == _EXPIRED:
        return Refused(f"TAPEWIRE_BROKER={place}: its certificate has expired; renew it there")
    if error.verify_code in _OTHER_NAME:
        return Refused(
            f"TAPEWIRE_BROKER={place}: {error.verify_message}; name the broker as its "
            "certificate does"
        )
    return Refused(
        f"TAPEWIRE_BROKER_CA={settings.broker_ca or ''}: {place} is not vouched for "
        f"({error.verify_message}); give the CA that signed the broker's certificate"
    )


def _hint(settings: Settings, shaken: bool) -> str:
    if settings.broker_tls and not shaken:
        return "does that listener speak TLS (TAPEWIRE_BROKER_TLS)"
    asks = [] if settings.broker_tls else ["TLS (TAPEWIRE_BROKER_TLS=true)"]
    if settings.broker_sasl is None:
        asks.append("a password (TAPEWIRE_BROKER_SASL)")
    if settings.broker_tls and settings.broker_certificate is None:
        asks.append("a client certificate (TAPEWIRE_BROKER_CERTIFICATE)")
    return f"does that listener ask for {' or '.join(asks) or 'something else'}"
