"""Benchmarks on public data sets, by their published protocols."""

from __future__ import annotations

import json
import os
import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from models.sentiment.model import SentimentModelError, label, load_sentiment_model
from stream.cli.extras import needs
from stream.cli.files import ReportOption, in_a_folder
from stream.cli.progress import step_progress
from stream.cli.run import JsonFlag
from stream.errors import Refused
from stream.settings import read_settings

if TYPE_CHECKING:
    from training.stocknet.benchmark import Result

benchmark = typer.Typer(help="Skill on public data sets.", no_args_is_help=True)


@benchmark.command()
def stocknet(
    folder: Annotated[Path, typer.Argument(help="Formats and protocol: docs/stocknet.md.")],
    test: Annotated[bool, typer.Option("--test", help="Judge the test part too: a look.")] = False,
    predict: Annotated[Path | None, typer.Option(help="A later folder to score instead.")] = None,
    out: Annotated[
        Path,
        typer.Option(help="CSV of --predict.", dir_okay=False, callback=in_a_folder),
    ] = Path("predictions.csv"),
    model: Annotated[str, typer.Option(help="Sentiment model that reads the tweets.")] = "minilm",
    seed: Annotated[int, typer.Option(min=0, help="First of the seeds.")] = 0,
    seeds: Annotated[int, typer.Option(min=1, max=100, help="Of models that draw.")] = 10,
    cache: Annotated[
        Path | None, typer.Option(help="Scores and looks; default: stocknet/ in the data folder.")
    ] = None,
    report: ReportOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Tomorrow's winners among 88 stocks from prices and tweets, walked forward.

    Example: tapewire benchmark stocknet ../shared/data/stocknet --report stocknet.html
    """
    with needs("benchmark", "train"):
        from training.stocknet import benchmark as bench
        from training.stocknet.data import joined, read_folder
        from training.stocknet.features import make_rows
        from training.stocknet.looks import Look, looks, note
        from training.stocknet.report import html_report
        from training.stocknet.scores import told_of_folder
    kept = cache or read_settings().data_dir / "stocknet"
    kept.mkdir(parents=True, exist_ok=True)
    workers = os.cpu_count() or 1
    try:
        reader = load_sentiment_model(model)
    except SentimentModelError as error:
        raise Refused(f"--model: {error}") from None
    known = read_folder(folder)
    if predict is not None:
        later = read_folder(predict)
        both = joined(known, later)
        with step_progress("stocknet") as progress:
            told = told_of_folder([known, later], reader, kept, progress)
            scores = bench.predict(
                make_rows(both, told, progress), known.last_day,
                seed=seed, n_seeds=seeds, workers=workers, progress=progress,
            )  # fmt: skip
        scores.to_csv(out, index=False, float_format="%.6f")
        written = {"predictions": len(scores), "out": str(out), "days": scores["date"].nunique()}
        print(json.dumps(written) if as_json else f"{out}: {len(scores):,} rows")
        return
    with step_progress("stocknet") as progress:
        rows = make_rows(known, told_of_folder([known], reader, kept, progress), progress)
        result = bench.run(
            rows, [bench.WALK, bench.TEST] if test else [bench.WALK],
            seed=seed, n_seeds=seeds, workers=workers, progress=progress,
        )  # fmt: skip
    if test:
        note(kept, Look(datetime.now(UTC), str(folder), seed, bench.summary(result)))
    n_looks = len(looks(kept))
    if report is not None:
        command = f"tapewire benchmark stocknet {shlex.quote(str(folder))} --model {model} " + (
            f"--seed {seed} --seeds {seeds}{' --test' if test else ''}"
        )
        facts = [
            ("looks at the test part", str(n_looks)),
            ("sentiment model", label(reader)),
            ("the same again", command),
        ]
        report.write_text(html_report(result, facts), "utf-8")
    if as_json:
        from training.stocknet.report import as_json as figures

        said = {"looks": n_looks, "sentiment_model": label(reader), **figures(result)}
        print(msgspec.json.encode(said).decode())  # NaN as null
    else:
        _print(result, n_looks)


def _print(result: Result, n_looks: int) -> None:
    from training.stocknet.report import HEAD, PLACEBO_HEAD, lines, placebo_lines, sentences

    console = Console()
    for head, rows in ((HEAD, lines(result)), (PLACEBO_HEAD, placebo_lines(result.placebos))):
        table = Table(*head)
        for row in rows:
            table.add_row(*row)
        console.print(table)
    for each in (*sentences(result), f"looks at the test part: {n_looks}"):
        console.print(each, markup=False, highlight=False)
