"""The verb that writes down what became of signals."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated

import typer

from stream.cli.run import JsonFlag
from stream.settings import read_settings


def outcomes(
    since: Annotated[
        datetime | None, typer.Option(help="First as_of to look at, UTC; default: all.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Label the stored signals that have matured, champion's and challenger's, into `outcomes`.

    Without TAPEWIRE_DATABASE it labels those of the last demo.

    Example: tapewire outcomes --since 2024-03-01
    """
    from stream.cli.last_demo import stored_database
    from training.outcomes import record_outcomes

    if since is not None and since.tzinfo is None:
        since = since.replace(tzinfo=UTC)
    with stored_database(read_settings()) as (dsn, schema):
        counts = record_outcomes(dsn, schema, since)
    if as_json:
        print(json.dumps(counts))
        return
    print(", ".join(f"{n:,} {what}" for what, n in counts.most_common()) or "nothing new")
