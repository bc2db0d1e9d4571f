"""Brings a database schema up to date from the numbered files of `sql/`."""

from __future__ import annotations

import hashlib
from pathlib import Path

import psycopg
import structlog
from psycopg import sql

from stream.database import explained
from stream.errors import Refused

log = structlog.get_logger()

# "tape" in ASCII; one lock a database, because creating the extension concerns all schemas.
_LOCK = 0x74617065
_MIN_SERVER = 160000
_FILES = Path(__file__).parents[2] / "sql"  # beside `stream`, in a checkout and when installed

_RECORDS = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    name text PRIMARY KEY,
    sha256 text NOT NULL,
    timescaledb text,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""
_RECORD = """
INSERT INTO schema_migrations (name, sha256, timescaledb) VALUES (%s, %s, %s)
ON CONFLICT (name) DO UPDATE
SET sha256 = excluded.sha256, timescaledb = excluded.timescaledb, applied_at = now()
"""
# What a file goes on without: TimescaleDB's features, the right to create roles.
_WITHOUT = ("0A000", "42501")


def migrate(dsn: str, schema: str) -> list[str]:
    """Apply what is missing in `schema` and return the names of the files applied.

    Every file is re-runnable and runs in one transaction with its record. A file runs again when
    its text changed, or when TimescaleDB came to (or left) a server that lacked (or had) it.

    Raises
    ------
    Unavailable
        The server does not answer.
    Refused
        The server refuses us, is older than PostgreSQL 16, or does not let this user make the
        schema.
    """
    try:
        with psycopg.connect(dsn, autocommit=True) as connection:
            return _migrate(connection, schema)
    except psycopg.OperationalError as error:
        raise explained(error) from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise Refused(f"TAPEWIRE_DATABASE: {error}".strip()) from error


def _migrate(connection: psycopg.Connection, schema: str) -> list[str]:
    if connection.info.server_version < _MIN_SERVER:
        raise Refused(
            f"TAPEWIRE_DATABASE: expected PostgreSQL 16 or later, got "
            f"{connection.info.parameter_status('server_version')}"
        )
    name = sql.Identifier(schema)
    connection.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
    try:
        timescaledb = _timescaledb(connection)
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(name))
        connection.execute(sql.SQL("SET search_path = {}, public").format(name))
        connection.add_notice_handler(_log_what_is_missing)
        connection.execute("SET client_min_messages = notice")
        connection.execute(_RECORDS)
        known = {
            row[0]: (row[1], row[2])
            for row in connection.execute("SELECT name, sha256, timescaledb FROM schema_migrations")
        }
        applied = []
        for file_name, text in sql_files():
            record = (hashlib.sha256(text.encode()).hexdigest(), timescaledb)
            if known.get(file_name) == record:
                continue
            with connection.transaction():
                connection.execute(text.encode())
                connection.execute(_RECORD, [file_name, *record])
            applied.append(file_name)
    finally:
        if not connection.closed:
            connection.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])
    if applied:
        log.info("schema migrated", schema=schema, files=applied, timescaledb=timescaledb)
    return applied


def _log_what_is_missing(notice: psycopg.errors.Diagnostic) -> None:
    if notice.sqlstate in _WITHOUT:
        log.info("server lacks something", what=notice.message_primary)


def sql_files() -> list[tuple[str, str]]:
    """Name and text of each migration, in order."""
    return [(file.name, file.read_text("utf-8")) for file in sorted(_FILES.glob("*.sql"))]


def _timescaledb(connection: psycopg.Connection) -> str | None:
    """The extension's version; makes the extension where the server has it ready. None: absent."""
    # Creating it where it is not preloaded ends the connection, so look first.
    ready = """
        SELECT 1 FROM pg_available_extensions
        WHERE name = 'timescaledb' AND installed_version IS NULL
        AND EXISTS (SELECT FROM pg_settings
                    WHERE name = 'shared_preload_libraries' AND setting ~ 'timescaledb')
    """
    try:
        if connection.execute(ready).fetchone():
            connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.FeatureNotSupported) as error:
        log.warning("timescaledb is there but cannot be made", error=str(error).strip())
    row = connection.execute(
        "SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'"
    ).fetchone()
    return None if row is None else str(row[0])
