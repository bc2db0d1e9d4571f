"""The last demo's data, for verbs that are given no database."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from pydantic import SecretStr

from stream.errors import Refused
from stream.settings import Settings

_FILE = "last-demo.json"
_KEPT = ("namespace", "mode", "feature_set", "tape")


def remember(settings: Settings, postgres_dir: Path | None) -> None:
    """Keep where a demo is stored, and under which settings; None: on servers of the user's."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    kept = {name: getattr(settings, name) for name in _KEPT}
    place = {"postgres_dir": str(postgres_dir or ""), "settings": kept}
    (settings.data_dir / _FILE).write_text(json.dumps(place))


@contextmanager
def stored(settings: Settings) -> Iterator[Settings]:
    """The settings where TAPEWIRE_DATABASE is set, else the last embedded demo's.

    The demo's database is started anew, and stopped at the end.
    """
    if "database" in settings.model_fields_set:
        yield settings
        return
    from stream.embedded.postgres import start_postgres

    try:
        place = msgspec.json.decode((settings.data_dir / _FILE).read_bytes())
    except FileNotFoundError:
        raise Refused(
            "expected TAPEWIRE_DATABASE or the data of an earlier `tapewire demo` under "
            f"{settings.data_dir}/, found neither"
        ) from None
    if not place["postgres_dir"]:
        raise Refused("the last demo ran on servers of yours: set TAPEWIRE_DATABASE to query it")
    with start_postgres(Path(place["postgres_dir"])) as server:
        yield settings.model_copy(update={"database": SecretStr(server.dsn), **place["settings"]})


@contextmanager
def stored_database(settings: Settings) -> Iterator[tuple[str, str]]:
    """DSN and schema of `stored`."""
    with stored(settings) as found:
        yield found.database.get_secret_value(), found.namespace
