"""Letters and their fates in SQL; a step is taken by one operator only, however many try."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Literal

import msgspec
import psycopg
from psycopg import sql
from psycopg.rows import class_row, dict_row

from stream.database import CONNECT_S, explained
from stream.deadletters.letter import Fate, Letter, read_name, why_settled
from stream.errors import Refused

GROUPS = ("role", "topic", "reason")

_COLUMNS = """name, fate, kafka_ts, role, source_topic, source_partition, source_offset,
    source_kafka_ts, reason, key, octet_length(payload) AS n_kept, n_bytes, topic_id,
    "partition", "offset" """
_WANTED = """
    (%(role)s::text IS NULL OR role = %(role)s)
    AND (%(topic)s::text IS NULL OR source_topic = %(topic)s)
    AND (%(reason)s::text IS NULL OR strpos(lower(reason), lower(%(reason)s)) > 0)
    AND (%(since)s::timestamptz IS NULL OR kafka_ts >= %(since)s)
    AND (%(until)s::timestamptz IS NULL OR kafka_ts < %(until)s)
    AND (%(fates)s::text[] IS NULL OR fate = ANY (%(fates)s))
"""
_LIST = f"""
SELECT {_COLUMNS} FROM letters WHERE {_WANTED}
ORDER BY kafka_ts DESC, "partition", "offset" DESC LIMIT %(limit)s
"""
_COUNT = f"SELECT count(*) FROM letters WHERE {_WANTED}"
# Numbers differ from record to record: with # in their place the same mistake is one group.
_GROUPED = {
    "role": "role",
    "topic": "source_topic",
    "reason": r"regexp_replace(reason, '[0-9]+(\.[0-9]+)?', '#', 'g')",
}
_FIND = f"""
SELECT {_COLUMNS} FROM letters WHERE "partition" = %s AND "offset" = %s AND name = %s
"""
_PLACE = 'topic_id = %s AND "partition" = %s AND "offset" = %s'
_PAYLOAD = f"SELECT payload FROM dead_letters WHERE {_PLACE}"
_HISTORY = f"""
SELECT fate, at, actor, reason, settled_at, to_partition, to_offset, error
FROM dead_letter_fates WHERE {_PLACE} ORDER BY step
"""
# The same record's other letters; and letters and replays that are cause and effect.
_SIBLING = """
SELECT s.name, f.actor, f.at FROM letters s JOIN dead_letter_fates f
    ON f.topic_id = s.topic_id AND f."partition" = s."partition" AND f."offset" = s."offset"
WHERE s.source_topic = %s AND s.source_partition = %s AND s.source_offset = %s
    AND s.name <> %s AND f.fate IN ('replaying', 'replayed')
ORDER BY f.at DESC LIMIT 1
"""
_REPLAY_OF = """
SELECT o.name FROM dead_letter_fates f JOIN letters o
    ON o.topic_id = f.topic_id AND o."partition" = f."partition" AND o."offset" = f."offset"
WHERE f.to_partition = %s AND f.to_offset = %s AND o.source_topic = %s
"""
_DIED_AGAIN = """
SELECT name FROM letters
WHERE source_partition = %s AND source_offset = %s AND source_topic = %s ORDER BY kafka_ts
"""
_LOCK = """
SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || '.dead_letters.' || %s, 0))
"""
_BEGIN = f"""
INSERT INTO dead_letter_fates (topic_id, "partition", "offset", step, fate, actor, reason)
SELECT %s, %s, %s, 1 + count(*), %s, %s, %s FROM dead_letter_fates WHERE {_PLACE}
RETURNING step
"""
_SETTLE = f"""
UPDATE dead_letter_fates
SET fate = %s, to_partition = %s, to_offset = %s, error = %s, settled_at = now()
WHERE {_PLACE} AND step = %s
"""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which letters; None is any. `reason` is a part of it in any case; times are the letters'."""

    role: str | None = None
    topic: str | None = None
    reason: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    fate: Literal["open", "replaying", "replayed", "dropped", "all"] = "open"

    def parameters(self) -> dict[str, Any]:
        """For SQL. Open are those that someone should look at: unfinished replays too."""
        fates = {"all": None, "open": ["open", "replaying"]}.get(self.fate, [self.fate])
        return {**msgspec.structs.asdict(self), "fates": fates}


class Letters:
    """The letters of one schema, over a connection that commits each statement."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection

    def newest(self, wanted: Wanted, limit: int | None) -> tuple[list[Letter], int]:
        """The newest `limit` letters, and how many there are in all."""
        given = {**wanted.parameters(), "limit": limit}
        with self._connection.cursor(row_factory=class_row(Letter)) as cursor:
            found = cursor.execute(_LIST.encode(), given).fetchall()
        row = self._connection.execute(_COUNT.encode(), given).fetchone()
        assert row is not None
        return found, int(row[0])

    def count_by(self, wanted: Wanted, groups: Sequence[str]) -> list[dict[str, Any]]:
        """Letters a group, most first, with the first and last moment; groups of `GROUPS`."""
        columns = ", ".join(f"{_GROUPED[group]} AS {group}" for group in groups)
        query = (
            f"SELECT count(*) AS n, min(kafka_ts) AS first, max(kafka_ts) AS last, {columns} "
            f"FROM letters WHERE {_WANTED} "
            f"GROUP BY {', '.join(str(4 + i) for i in range(len(groups)))} ORDER BY n DESC, 4"
        )
        with self._connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query.encode(), wanted.parameters()).fetchall()

    def find(self, name: str) -> Letter:
        """The letter of that name. Raises Refused where there is none."""
        place = read_name(name)
        with self._connection.cursor(row_factory=class_row(Letter)) as cursor:
            found = cursor.execute(_FIND, (place.partition, place.offset, name)).fetchone()
        if found is None:
            raise Refused(
                f"letter {name}: expected one that `tapewire dlq list --fate all` shows, found "
                "none; a new one is there once the archive wrote it"
            )
        return found

    def payload(self, letter: Letter) -> bytes:
        """The bytes that were kept of the record's value."""
        row = self._connection.execute(_PAYLOAD, _place(letter)).fetchone()
        if row is None:
            raise Refused(f"letter {letter.name}: expected its row, found it gone")
        return bytes(row[0])

    def history(self, letter: Letter) -> list[Fate]:
        """What was done with it, oldest first."""
        with self._connection.cursor(row_factory=class_row(Fate)) as cursor:
            return cursor.execute(_HISTORY, _place(letter)).fetchall()

    def replay_of(self, letter: Letter) -> str | None:
        """The letter whose replay wrote the record that this one tells of."""
        source = (letter.source_partition, letter.source_offset, letter.source_topic)
        row = self._connection.execute(_REPLAY_OF, source).fetchone()
        return None if row is None else str(row[0])

    def died_again(self, letter: Letter) -> list[str]:
        """The letters of the records that replays of this one wrote."""
        again: list[str] = []
        for step in self.history(letter):
            if step.fate == "replayed":
                place = (step.to_partition, step.to_offset, letter.source_topic)
                again += [name for (name,) in self._connection.execute(_DIED_AGAIN, place)]
        return again

    def begin(
        self,
        letters: Sequence[Letter],
        step: Literal["replaying", "dropped"],
        *,
        actor: str,
        reason: str,
        force: bool,
    ) -> tuple[dict[str, int], dict[str, str]]:
        """Record `step` for each letter that may take it: its number, or why not, by name.

        Steps for one source record follow each other, so of two operators the second sees what
        the first began. All of it is one transaction.
        """
        begun: dict[str, int] = {}
        refused: dict[str, str] = {}
        with self._connection.transaction():
            for source in sorted({letter.source for letter in letters}):
                self._connection.execute(_LOCK, (source,))
            for letter in letters:
                why = None if force else self._why_not(letter, step)
                if why is not None:
                    refused[letter.name] = why
                    continue
                place = _place(letter)
                given = (*place, step, actor, reason, *place)
                row = self._connection.execute(_BEGIN, given).fetchone()
                assert row is not None
                begun[letter.name] = row[0]
        return begun, refused

    def settle(
        self,
        letter: Letter,
        number: int,
        fate: Literal["replaying", "replayed", "failed"],
        *,
        to: tuple[int, int] | None = None,
        error: str | None = None,
    ) -> None:
        """Record how step `number` ended: the place of the record, or what the broker said."""
        given = (fate, *(to or (None, None)), error, *_place(letter), number)
        self._connection.execute(_SETTLE, given)

    def _why_not(self, letter: Letter, step: str) -> str | None:
        why = why_settled(self.history(letter))
        if why is None and step == "replaying":
            source = (letter.source_topic, letter.source_partition, letter.source_offset)
            sibling = self._connection.execute(_SIBLING, (*source, letter.name)).fetchone()
            if sibling is not None:
                name, actor, at = sibling
                why = (
                    f"its record {letter.source} was replayed before, as letter {name} by "
                    f"{actor} at {at:%Y-%m-%d %H:%M:%S %Z}"
                )
        return why


@contextmanager
def open_letters(dsn: str, schema: str) -> Iterator[Letters]:
    """The letters of `schema`. Raises Unavailable or Refused for what the database says."""
    try:
        with psycopg.connect(dsn, autocommit=True, connect_timeout=CONNECT_S) as connection:
            connection.execute("SET timezone = 'UTC'")
            connection.execute(
                sql.SQL("SET search_path = {}, public").format(sql.Identifier(schema))
            )
            yield Letters(connection)
    except psycopg.OperationalError as error:
        raise explained(error) from None
    except psycopg.Error as error:
        raise Refused(f"schema {schema}: {error}; run `tapewire migrate`".strip()) from None


def _place(letter: Letter) -> tuple[str, int, int]:
    return letter.topic_id, letter.partition, letter.offset
