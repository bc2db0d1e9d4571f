"""What a failed connection to PostgreSQL means: a server away, or one that refuses us."""

from __future__ import annotations

import re

import psycopg

from stream.errors import Refused, Unavailable

CONNECT_S = 5

# libpq keeps the SQLSTATE of a connection that failed to itself, so its words must do:
# class 28, 3D000 and 42501 of the server, and libpq's own about TLS.
_PASSWORD = re.compile(r"authentication failed for user|no password supplied|password is required")
_STRANGER = re.compile(
    r"no pg_hba\.conf entry|role \".*\" does not exist|database \".*\" does not exist"
    r"|not permitted to log in|permission denied for database"
)
_TLS = re.compile(
    r"certificate|does not support SSL|SSL was required|private key file|invalid sslmode"
    r"|SSL error: (?!.*(unexpected eof|SYSCALL))"
)
_FULL = re.compile(r"No space left on device|Disk quota exceeded")


def explained(error: psycopg.Error) -> Unavailable | Refused:
    """`error` of a connection, or of a disk, as one of ours; nothing in it tells a password."""
    text = " ".join(str(error).split())
    if isinstance(error, psycopg.errors.DiskFull) or _FULL.search(text):
        return Unavailable(f"TAPEWIRE_DATABASE: the server's disk is full, make room there: {text}")
    kind = f"TAPEWIRE_DATABASE: {text}"
    if not text.startswith(("connection failed", "connection is bad")):
        return Unavailable(kind)
    if _PASSWORD.search(text):
        return Refused(f"{kind}; correct its user or password")
    if _STRANGER.search(text):
        return Refused(f"{kind}; let this user in, or name another user or database")
    if _TLS.search(text):
        return Refused(
            f"{kind}; look at its sslmode and sslrootcert, and whether "
            "the server's certificate has expired"
        )
    return Unavailable(kind)


def refuse_strangers(dsn: str) -> None:
    """Connect once. Raises Refused where the server refuses us; one that is away is no error."""
    try:
        psycopg.connect(dsn, connect_timeout=CONNECT_S).close()
    except psycopg.OperationalError as error:
        if isinstance(why := explained(error), Refused):
            raise why from None
