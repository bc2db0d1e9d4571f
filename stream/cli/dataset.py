"""Verbs on datasets: dataset build, show."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markdown import Markdown

from stream.cli.extras import needs
from stream.cli.last_demo import stored
from stream.cli.progress import step_progress
from stream.cli.run import JsonFlag
from stream.cli.times import utc_span
from stream.events import moment
from stream.settings import read_settings

dataset = typer.Typer(help="Training tables as Parquet files: build, show.", no_args_is_help=True)
HorizonOption = Annotated[
    str | None, typer.Option(help="Of the labels, e.g. 30m or 2w; docs/labels.md.")
]
Folder = Annotated[Path, typer.Argument(file_okay=False, help="Folder of the dataset.")]


@dataset.command()
def build(
    out: Folder,
    since: Annotated[datetime | None, typer.Option(help="First as_of, UTC.")] = None,
    until: Annotated[datetime | None, typer.Option(help="as_of to stop before, UTC.")] = None,
    horizon: HorizonOption = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes; default: what pays off.")
    ] = None,
    resume: Annotated[bool, typer.Option(help="Go on with a folder that was begun.")] = False,
    sequences: Annotated[
        bool, typer.Option("--sequences", help="Keep each row's panes, for --learner sequence.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """The rows that retrain would learn from, as Parquet with a data card; a kill loses nothing.

    Parts that are there are not made again. What was archived after the folder was begun is not in
    it.

    Example: tapewire dataset build ./rows --until 2024-03-01 --jobs 2
    """
    from stream.cli.again import again
    from stream.scoring.configured import policy_of

    with needs("dataset build", "train"):
        from training.dataset import build as building
        from training.dataset.card import MARKDOWN, write_card

    span = building.Span(*utc_span(since, until))
    with stored(read_settings()) as settings, step_progress("dataset") as progress:
        built = building.build(
            settings.database.get_secret_value(),
            settings.namespace,
            policy_of(settings),
            out,
            horizon=horizon,
            span=span,
            jobs=jobs,
            resume=resume,
            sequences=sequences,
            progress=lambda share: progress("replaying", 0.95 * share),
        )
        progress("counting", 0.95)
        bounds = [
            word
            for name, us in zip(("--since", "--until"), span, strict=True)
            if us is not None
            for word in (name, f"{moment(us):%Y-%m-%dT%H:%M:%S}")
        ]
        chosen = [] if horizon is None else ["--horizon", horizon]
        chosen += ["--sequences"] if sequences else []
        command = again(settings, "dataset", "build", str(out), *chosen, *bounds)
        card = write_card(out, built.manifest, command)
        progress("done", 1.0)
    told = {
        "out": str(out),
        "rows": card.statistics.n_rows,
        "features": len(built.manifest.feature_names),
        "parts": len(built.manifest.sizes),
        "made": built.n_made,
        "run_id": card.run_id,
    }
    if as_json:
        print(json.dumps(told))
        return
    print(
        f"{out}: {told['rows']:,} rows x {told['features']} features in {told['parts']} parts, "
        f"{told['made']} made now; see {out / MARKDOWN}"
    )


@dataset.command()
def show(folder: Folder, as_json: JsonFlag = False) -> None:
    """The data card: what it was made of, what is in it, what it does not say.

    Example: tapewire dataset show ./rows
    """
    with needs("dataset show", "train"):
        from training.dataset.card import JSON, markdown, read_card

    card = read_card(folder)
    if as_json:
        print((folder / JSON).read_text("utf-8"))
    elif Console().is_terminal:
        Console().print(Markdown(markdown(card)))
    else:
        print(markdown(card), end="")
