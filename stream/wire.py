"""Which settings of TLS and passwords fit together, and which servers are reached in the clear."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Conninfo

if TYPE_CHECKING:
    from stream.settings import Settings

_PLACE = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^\s:@/\[\]]+)(:\d{1,5})?")
_LOOPBACK = re.compile(r"localhost|127(\.\d{1,3}){3}|\[?::1\]?|/.*")  # a path is a Unix socket
_VERIFIED = ("verify-full", "verify-ca")
_OTHERS = 0o007


def broker_mistake(settings: Settings) -> str | None:
    """The first thing about the broker's settings that makes no sense; None when they fit."""
    s = settings
    files = {"CA": s.broker_ca, "CERTIFICATE": s.broker_certificate, "KEY": s.broker_key}
    for name, path in files.items():
        if path is not None and not s.broker_tls:
            return f"TAPEWIRE_BROKER_TLS: expected true beside TAPEWIRE_BROKER_{name}, got false"
        if path is not None and not path.is_file():
            return f"TAPEWIRE_BROKER_{name}={path}: expected a PEM file, found none"
    if (s.broker_certificate is None) != (s.broker_key is None):
        given, other = ("CERTIFICATE", "KEY") if s.broker_key is None else ("KEY", "CERTIFICATE")
        return f"TAPEWIRE_BROKER_{other}: expected one beside TAPEWIRE_BROKER_{given}, got none"
    credentials = {"USER": bool(s.broker_user), "PASSWORD": _has(s.broker_password)}
    for name, given_one in credentials.items():
        if given_one and s.broker_sasl is None:
            return (
                f"TAPEWIRE_BROKER_SASL: expected PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512 beside "
                f"TAPEWIRE_BROKER_{name}, got none"
            )
        if s.broker_sasl is not None and not given_one:
            return f"TAPEWIRE_BROKER_{name}: expected one beside TAPEWIRE_BROKER_SASL, got none"
    if s.embedded and (s.broker_tls or s.broker_sasl):
        return "TAPEWIRE_BROKER_TLS, TAPEWIRE_BROKER_SASL: the embedded broker has neither; unset"
    if s.broker_sasl == "PLAIN" and not s.broker_tls and not on_loopback(hosts(s.broker)):
        return (
            "TAPEWIRE_BROKER_SASL=PLAIN: the password would cross the network in the clear; "
            "set TAPEWIRE_BROKER_TLS=true, or use SCRAM-SHA-512"
        )
    return None


def broker_form(broker: str) -> str | None:
    """What is wrong with the form of bootstrap servers, without repeating them; None if nothing."""
    if all(_PLACE.fullmatch(place.strip()) for place in broker.split(",")):
        return None
    return "expected host:port,host:port, without scheme, user or password"


def database_form(dsn: str) -> str | None:
    """What is wrong with a DSN's form, without repeating it: drivers quote what they misread."""
    expected = (
        "expected postgresql://user:password@host:port/database, special characters in the "
        "password written as %XX"
    )
    try:
        parts = conninfo_to_dict(dsn)
    except psycopg.Error:
        return expected
    ports = str(parts.get("port") or "").split(",")
    split = any("@" in str(parts.get(name) or "") for name in ("host", "dbname"))
    return expected if split or not all(p.isdigit() or not p for p in ports) else None


def redis_form(url: str) -> str | None:
    """What is wrong with a Redis URL's form, without repeating it; None if nothing."""
    expected = (
        "expected redis://, rediss:// or unix://user:password@host:port/0, special characters "
        "in the password written as %XX"
    )
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return expected
    known = parts.scheme in ("redis", "rediss", "unix")
    return None if known and "@" not in parts.path + parts.query + parts.fragment else expected


def exposed(settings: Settings) -> list[str]:
    """A line for each server beyond loopback without verified TLS, and for open secrets."""
    lines = []
    if not settings.broker_tls and not on_loopback(places := hosts(settings.broker)):
        lines.append(f"TAPEWIRE_BROKER: {_some(places)} without TLS; set TAPEWIRE_BROKER_TLS=true")
    places, verified = _database(settings.database.get_secret_value())
    if not verified and not on_loopback(places):
        lines.append(
            f"TAPEWIRE_DATABASE: {_some(places)} without verified TLS; "
            "add sslmode=verify-full&sslrootcert=FILE"
        )
    url = urlsplit(settings.redis.get_secret_value())
    places = [url.hostname or "localhost"] if url.scheme != "unix" else ["/"]
    verified = url.scheme == "rediss" and parse_qs(url.query).get("ssl_cert_reqs") != ["none"]
    if not verified and not on_loopback(places):
        lines.append(
            f"TAPEWIRE_REDIS: {_some(places)} without verified TLS; use rediss://...?ssl_ca_certs=FILE"
        )
    if settings.secrets is not None and settings.secrets.stat().st_mode & _OTHERS:
        lines.append(
            f"TAPEWIRE_SECRETS={settings.secrets}: open to other users of this machine; "
            f"chmod 700 {settings.secrets}"
        )
    return lines


def hosts(broker: str) -> list[str]:
    """The host names of bootstrap servers."""
    return [re.sub(r":\d+$", "", place.strip()) for place in broker.split(",")]


def on_loopback(places: Iterable[str]) -> bool:
    """Whether none of the hosts is beyond this machine."""
    return all(_LOOPBACK.fullmatch(host) for host in places)


def _database(dsn: str) -> tuple[list[str], bool]:
    """The hosts that libpq will call, and whether it checks their certificates."""
    known = {o.keyword.decode(): o.val.decode() for o in Conninfo.get_defaults() if o.val}
    parts = {**known, **{k: str(v) for k, v in conninfo_to_dict(dsn).items() if v}}
    found = (parts.get("host") or parts.get("hostaddr") or "localhost").split(",")
    return [host or "localhost" for host in found], parts.get("sslmode") in _VERIFIED


def _some(places: list[str]) -> str:
    return ", ".join(host for host in places if not on_loopback([host]))


def _has(secret: object) -> bool:
    return bool(secret and secret.get_secret_value())  # type: ignore[attr-defined]
