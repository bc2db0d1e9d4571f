"""What was run, as rows of `job_runs`, and what the last look for drift said."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

import psycopg
from psycopg import sql

from stream.database import CONNECT_S, explained
from stream.errors import Refused

_BEGIN = "INSERT INTO job_runs (job, because) VALUES (%s, %s) RETURNING id, started_at"
_END = """
UPDATE job_runs SET ended_at = clock_timestamp(), exit_code = %s, last_line = %s WHERE id = %s
"""
# A run that was cut off did not happen: it is made up for.
_LAST_ENDED = """
SELECT started_at, exit_code FROM job_runs WHERE job = %s AND ended_at IS NOT NULL
ORDER BY started_at DESC LIMIT 1
"""
_LAST_BEGUN = "SELECT max(started_at) FROM job_runs WHERE job = %s"
_DRIFT = "SELECT says FROM drift_reports WHERE at >= %s ORDER BY at DESC LIMIT 1"


class Runs:
    """Rows of one schema; a connection a call.

    Every call raises Unavailable when the database does not answer, and Refused where it refuses
    us or lacks the tables.
    """

    def __init__(self, dsn: str, schema: str) -> None:
        self._dsn = dsn
        self._schema = schema

    async def begin(self, job: str, because: str) -> tuple[int, datetime]:
        """A run that starts now: its id, and the database's time."""
        number, started = await self._row(_BEGIN, job, because)
        return int(number), started

    async def end(self, run: int, exit_code: int, last_line: str) -> None:
        """The run has ended; a negative code is the signal that ended it."""
        await self._row(_END, exit_code, last_line, run)

    async def last_ended(self, job: str) -> tuple[datetime, int] | None:
        """When the newest run that came to its end was started, and its exit code."""
        row = await self._row(_LAST_ENDED, job)
        return (row[0], int(row[1])) if row else None

    async def last_begun(self, job: str) -> datetime | None:
        """When the newest run was started."""
        (at,) = await self._row(_LAST_BEGUN, job)
        return cast("datetime | None", at)

    async def drift_since(self, at: datetime) -> str | None:
        """What the newest drift report since `at` says; None where there is none."""
        row = await self._row(_DRIFT, at)
        return str(row[0]) if row else None

    async def _row(self, query: str, *given: Any) -> Any:
        try:
            async with await psycopg.AsyncConnection.connect(
                self._dsn, connect_timeout=CONNECT_S
            ) as connection:
                path = sql.SQL("SET search_path = {}, public")
                await connection.execute(path.format(sql.Identifier(self._schema)))
                cursor = await connection.execute(query.encode(), given)
                return await cursor.fetchone() if cursor.description else None
        except psycopg.errors.UndefinedTable:
            raise Refused(
                f"schema {self._schema}: expected the table job_runs; run tapewire migrate"
            ) from None
        except psycopg.OperationalError as error:
            raise explained(error) from None
