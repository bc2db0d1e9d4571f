"""`tapewire sentiment rescore`: what another model would have said of stored articles."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated

import typer

from stream.cli.progress import step_progress
from stream.cli.run import JsonFlag
from stream.cli.times import utc_micros
from stream.errors import Refused
from stream.events import moment
from stream.settings import read_settings


def rescore(
    model: Annotated[str, typer.Option(help="The model's name, as in TAPEWIRE_SENTIMENT_MODEL.")],
    since: Annotated[datetime, typer.Option(help="Articles available from here on (UTC).")],
    until: Annotated[datetime | None, typer.Option(help="And before this (UTC).")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many articles.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Score stored articles by another model, as if it had been there, into the table rescores.

    Example: tapewire sentiment rescore --model lexicon --since 2024-03-01
    """
    from stream.features.vector import FEATURE_SETS
    from stream.sentiment.agent import sentiment_step
    from stream.sentiment.choice import load_named
    from stream.sentiment.directory import read_directory
    from stream.sentiment.judge import Judge
    from training.rescore import rescore as run

    settings = read_settings()
    try:
        loaded = load_named(settings, model)
    except ValueError as error:
        raise Refused(f"--model: {error}") from None
    directory = read_directory(settings.symbols_file)
    end = datetime.now(UTC) if until is None else moment(utc_micros(until) or 0)
    with step_progress("rescore") as bar:

        def progress(done: int, total: int) -> None:
            bar(f"{done:,} of {total:,} articles", done / total if total else 1.0)

        found = run(
            settings.database.get_secret_value(),
            settings.namespace,
            loaded,
            since=moment(utc_micros(since) or 0),
            until=end,
            limit=limit,
            make_step=lambda model: sentiment_step(
                settings, Judge(model), live=False, directory=directory
            ),
            keep_us=FEATURE_SETS[settings.feature_set].news_window.us,
            progress=progress,
        )
    if as_json:
        print(json.dumps(found._asdict()))
    else:
        print(f"{found.model}: {found.n_articles:,} articles scored, {found.n_rows:,} rows added")
