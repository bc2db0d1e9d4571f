"""The registry: artifacts in the database, the aliases that choose, and who moved an alias."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from models.artifact import Artifact, ArtifactError, from_bytes, sha256_of, to_bytes

_COLUMNS = (
    "version", "name", "architecture", "feature_set", "feature_set_version", "sentiment_model",
    "horizon", "trained_from", "trained_until", "n_rows", "data_fingerprint", "code_revision",
    "hyperparameters", "importances", "metrics", "verdict", "sha256",
)  # fmt: skip
_SAVE = f"""
INSERT INTO ml_models (created_at, artifact, {", ".join(_COLUMNS)})
VALUES (now(), %(artifact)s, {", ".join(f"%({name})s" for name in _COLUMNS)})
ON CONFLICT (version) DO NOTHING
"""
_SHOW = f"""
SELECT created_at, {", ".join(_COLUMNS)}, octet_length(artifact) AS n_bytes,
    array(SELECT alias FROM ml_aliases a WHERE a.version = m.version ORDER BY alias) AS aliases
FROM ml_models m
"""
_CURRENT = """
SELECT a.version, m.sha256
FROM ml_aliases a LEFT JOIN ml_models m ON m.version = a.version
WHERE a.alias = %s
"""
# The lock makes two movers of one alias follow each other, also before the alias has a row.
_LOCK = "SELECT pg_advisory_xact_lock(hashtext(current_schema() || '.ml_aliases.' || %s))"
_PUT = """
INSERT INTO ml_aliases (alias, version, moved_at) VALUES (%s, %s, now())
ON CONFLICT (alias) DO UPDATE SET version = excluded.version, moved_at = excluded.moved_at
"""
_AUDIT = """
INSERT INTO ml_alias_moves (alias, from_version, to_version, moved_at, actor, reason)
VALUES (%s, %s, %s, now(), %s, %s)
"""
_MOVES = """
SELECT from_version, to_version, reason LIKE 'rollback:%%' AS is_rollback
FROM ml_alias_moves WHERE alias = %s ORDER BY id
"""


class Registry:
    """Artifacts and aliases of one schema; a connection a call.

    Every call raises ConnectionError when the database does not answer, and ArtifactError when
    a version is unknown or an artifact damaged.
    """

    def __init__(self, dsn: str, schema: str) -> None:
        self._dsn = dsn
        self._schema = schema

    def save(self, artifact: Artifact, verdict: Mapping[str, Any]) -> str:
        """Store the artifact with its verdict; its version again is no change. Returns sha256."""
        raw = to_bytes(artifact)
        digest = sha256_of(raw)
        with self._transaction() as connection:
            connection.execute(_SAVE, _row(artifact, verdict) | {"sha256": digest, "artifact": raw})
            row = connection.execute(
                "SELECT sha256 FROM ml_models WHERE version = %s", [artifact.version]
            ).fetchone()
        if row is None or row["sha256"] != digest:
            raise ArtifactError(
                f"version {artifact.version}: expected one content, got another "
                f"(sha256 {digest}) under the same name"
            )
        return digest

    def load(self, version: str) -> Artifact:
        """The artifact of `version`, its bytes checked against the stored sha256."""
        with self._transaction() as connection:
            return _load(connection, version)

    def list(self) -> list[dict[str, Any]]:
        """Every stored model without its bytes, newest first, with the aliases that name it."""
        with self._transaction() as connection:
            return connection.execute(_SHOW + "ORDER BY created_at DESC, version DESC").fetchall()

    def show(self, version: str) -> dict[str, Any]:
        """One model's row without its bytes."""
        with self._transaction() as connection:
            row = connection.execute(_SHOW + "WHERE version = %s", [version]).fetchone()
        if row is None:
            raise _unknown(version)
        return row

    def current(self, alias: str) -> tuple[str | None, str | None]:
        """Version and sha256 that `alias` names; (None, None) when it names none."""
        with self._transaction() as connection:
            row = connection.execute(_CURRENT, [alias]).fetchone()
        return (None, None) if row is None else (row["version"], row["sha256"])

    def promote(
        self,
        alias: str,
        version: str,
        actor: str,
        reason: str,
        *,
        check: Callable[[Artifact], None] = lambda artifact: None,
    ) -> None:
        """Let `alias` name `version`, with an audit row, in one transaction.

        Parameters
        ----------
        check : raises ArtifactError where the artifact may not serve; then nothing is moved.
        """
        with self._transaction() as connection:
            connection.execute(_LOCK, [alias])
            check(_load(connection, version))
            _move(connection, alias, version, actor, f"promote: {reason}")

    def rollback(self, alias: str, actor: str, reason: str) -> str | None:
        """Let `alias` name what it named before, in one transaction; None: the rules model.

        Rolling back again goes one further back.
        """
        with self._transaction() as connection:
            connection.execute(_LOCK, [alias])
            moves = connection.execute(_MOVES, [alias]).fetchall()
            history: list[str | None] = []  # what a rollback would return to, newest last
            for move in moves:
                if move["is_rollback"]:
                    history.pop()
                else:
                    history.append(move["from_version"])
            if not history:
                raise ArtifactError(f"alias {alias}: expected an earlier version, found none")
            version = history[-1]
            _move(connection, alias, version, actor, f"rollback: {reason}")
        return version

    @contextmanager
    def _transaction(self) -> Iterator[psycopg.Connection[dict[str, Any]]]:
        try:
            with psycopg.connect(self._dsn, row_factory=dict_row) as connection:
                connection.execute("SELECT set_config('search_path', %s, true)", [self._path])
                yield connection
        except psycopg.OperationalError as error:
            text = " ".join(str(error).split())
            raise ConnectionError(f"TAPEWIRE_DATABASE: {text}") from error
        except psycopg.errors.UndefinedTable as error:
            raise ArtifactError(
                f"schema {self._schema}: expected the registry's tables, found none; "
                "run tapewire migrate"
            ) from error

    @property
    def _path(self) -> str:
        quoted = self._schema.replace('"', '""')
        return f'"{quoted}", public'


def _load(connection: psycopg.Connection[dict[str, Any]], version: str) -> Artifact:
    row = connection.execute(
        "SELECT artifact, sha256 FROM ml_models WHERE version = %s", [version]
    ).fetchone()
    if row is None:
        raise _unknown(version)
    artifact = from_bytes(row["artifact"], row["sha256"])
    if artifact.version != version:
        raise ArtifactError(f"artifact damaged: expected version {version}, got {artifact.version}")
    return artifact


def _row(artifact: Artifact, verdict: Mapping[str, Any]) -> dict[str, Any]:
    """What a query may ask of a model without reading its bytes."""
    from models.importances import importances  # NumPy's import: verbs start without it

    same = (
        "version", "name", "architecture", "feature_set", "feature_set_version", "sentiment_model",
        "horizon", "n_rows", "data_fingerprint", "code_revision",
    )  # fmt: skip
    return {name: getattr(artifact, name) for name in same} | {
        "trained_from": _moment(artifact.trained_from_us),
        "trained_until": _moment(artifact.trained_until_us),
        "hyperparameters": Jsonb(artifact.parameters, dumps=_dumps),
        "importances": Jsonb(importances(artifact), dumps=_dumps),
        "metrics": Jsonb(artifact.metrics, dumps=_dumps),
        "verdict": Jsonb(dict(verdict), dumps=_dumps),
    }


def _move(
    connection: psycopg.Connection[dict[str, Any]],
    alias: str,
    version: str | None,
    actor: str,
    reason: str,
) -> None:
    row = connection.execute("SELECT version FROM ml_aliases WHERE alias = %s", [alias]).fetchone()
    before = None if row is None else row["version"]
    connection.execute(_PUT, [alias, version])
    connection.execute(_AUDIT, [alias, before, version, actor, reason])


def _unknown(version: str) -> ArtifactError:
    return ArtifactError(
        f"version {version}: expected a stored model, found none; see tapewire models list"
    )


def _moment(us: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)


def _dumps(value: Any) -> str:
    return json.dumps(value, allow_nan=False)
