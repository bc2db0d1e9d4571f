"""`tapewire sentiment`: fine-tune a model on labelled texts, judge one, label texts by one."""

from __future__ import annotations

import json
import random
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from models.sentiment.model import PARTS, SentimentModel, load_sentiment_model, template
from models.sentiment.model import label as called
from stream.cli.extras import needs
from stream.cli.files import ReportOption
from stream.cli.learn import ModelRefused
from stream.cli.progress import step_progress
from stream.cli.run import JsonFlag
from stream.errors import Refused

sentiment = typer.Typer(help="Sentiment models: train, evaluate, label.", no_args_is_help=True)
_LABEL_TEXTS = 500  # between two steps of the progress bar
DataOption = Annotated[
    list[str], typer.Option(help="Labelled texts: FILE, FILE@WEIGHT or FILE?COLUMN=VALUE@WEIGHT.")
]


@sentiment.command()
def train(
    data: DataOption,
    out: Annotated[Path, typer.Option(help="Folder to write the model to.")],
    name: Annotated[str, typer.Option(help="What scores will call it.")] = "minilm",
    base: Annotated[str, typer.Option(help="minilm, a folder, or a name of the hub.")] = "minilm",
    more: Annotated[
        list[str] | None, typer.Option(help="Learnt from only, as --data; `templates` is built in.")
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="At most.")] = 4,
    rate: Annotated[float, typer.Option(min=1e-6, help="Learning rate of the encoder.")] = 1e-4,
    lora: Annotated[int, typer.Option(min=0, help="Rank of adapters; 0: all weights.")] = 0,
    qlora: Annotated[
        bool, typer.Option("--qlora", help="Adapters beside 4-bit weights; wants CUDA.")
    ] = False,
    freeze: Annotated[int, typer.Option(min=0, help="Lowest layers to leave as they are.")] = 0,
    exact: Annotated[bool, typer.Option(help="32-bit weights, for a teacher; else int8.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of every random choice.")] = 0,
    licence: Annotated[str, typer.Option(help="Under which the model may be used.")] = "",
    resume: Annotated[
        Path | None, typer.Option(help="Folder that a stopped run goes on in.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Fine-tune, calibrate, make an int8 file; exit code 3 when it says something else.

    Example: tapewire sentiment train --data tweets.csv.gz --more templates --out my-model
    """
    with needs("sentiment train", "torch"):
        from training.errors import TrainingRefused
        from training.sentiment.files import sha256
        from training.sentiment.labelled import asked, read_labelled
        from training.sentiment.recipe import Recipe
        from training.sentiment.templates import sentences
        from training.sentiment.train import train as fit

        recipe = Recipe(base, seed, epochs, rate, lora, freeze, four_bit=qlora)
        files = [each for each in (*data, *(more or [])) if each != "templates"]
        try:
            rows = [row for each in data for row in read_labelled(each)]
            extra = [
                row
                for each in more or []
                for row in (sentences(seed=seed) if each == "templates" else read_labelled(each))
            ]
            with step_progress("sentiment") as progress:
                found = fit(
                    rows,
                    extra,
                    recipe,
                    out,
                    name=name,
                    command=shlex.join(["tapewire", *sys.argv[1:]]),
                    licence=licence,
                    made_from={asked(each).path.name: sha256(asked(each).path) for each in files},
                    exact=exact,
                    work=resume,
                    progress=progress,
                )
        except TrainingRefused as error:
            raise ModelRefused(f"model refused: {error}") from error
    if as_json:
        told = {"folder": str(out), "parity": found.parity, **_figures(found.shipped)}
        print(json.dumps(told))
        return
    _print_figures({"as trained": found.network, "as shipped": found.shipped})
    print(f"{out}: {found.parity['agreement']:.2%} of labels as before the export")


@sentiment.command()
def evaluate(
    model: Annotated[
        str, typer.Argument(help="A name or a folder, as in TAPEWIRE_SENTIMENT_MODEL.")
    ],
    data: DataOption,
    only_held: Annotated[
        bool, typer.Option("--held-out", help="Only rows that `train --data` does not learn from.")
    ] = False,
    report: ReportOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Accuracy, macro F1, calibration and grades of a model on labelled texts.

    Example: tapewire sentiment evaluate lexicon --data tweets.csv.gz --report lexicon.html
    """
    with needs("sentiment evaluate", "train"):
        from training.errors import TrainingRefused
        from training.sentiment.evaluate import evaluate as judge
        from training.sentiment.labelled import read_labelled
        from training.sentiment.train import held_out

        if report is not None:
            from training.sentiment.report import html_report
    try:
        judged = _reader(model)
        found = {}
        for each in data:
            rows = read_labelled(each)
            rows = held_out(rows) if only_held else rows
            found[each] = judge(rows, judged.probabilities([row.text for row in rows]))
    except (TrainingRefused, ValueError) as error:
        raise Refused(str(error)) from error
    if report is not None:
        report.write_text(html_report(called(judged), found), "utf-8")
    if as_json:
        print(json.dumps({each: _figures(one) for each, one in found.items()}))
    else:
        _print_figures(found)


@sentiment.command()
def label(
    model: Annotated[str, typer.Argument(help="A name or a folder: the teacher.")],
    texts: Annotated[list[str], typer.Option(help="Files with texts, labels not needed.")],
    out: Annotated[Path, typer.Option(help="JSONL to write: text and three shares a line.")],
    sample: Annotated[int, typer.Option(min=0, help="So many of the texts; 0: all.")] = 0,
    seed: Annotated[int, typer.Option(help="Of the sample.")] = 0,
    as_json: JsonFlag = False,
) -> None:
    """Let a model label texts, for a smaller one to learn from with `train --more OUT`.

    Example: tapewire sentiment label teacher --texts tweets.jsonl.gz --out soft.jsonl
    """
    from training.errors import TrainingRefused
    from training.sentiment.files import complete_file
    from training.sentiment.labelled import read_texts

    try:
        teacher = _reader(model)
        wanted = list(dict.fromkeys(text for each in texts for text in read_texts(each)))
        if 0 < sample < len(wanted):
            wanted = random.Random(seed).sample(wanted, sample)
        with (
            step_progress("label") as progress,
            complete_file(out) as part,
            part.open("w", encoding="utf-8") as file,
        ):
            for first in range(0, len(wanted), _LABEL_TEXTS):
                progress("scoring", first / len(wanted))
                some = wanted[first : first + _LABEL_TEXTS]
                for text, shares in zip(some, teacher.probabilities(some), strict=True):
                    print(json.dumps({"text": text, **shares._asdict()}), file=file)
    except (TrainingRefused, ValueError) as error:
        raise Refused(str(error)) from error
    if as_json:
        print(json.dumps({"texts": len(wanted), "model": called(teacher), "out": str(out)}))
    else:
        print(f"{out}: {len(wanted):,} texts labelled by {called(teacher)}")


def _reader(name: str) -> SentimentModel:
    """A model of single texts; one that wants articles in sections would misread them."""
    model = load_sentiment_model(name)
    if template(model) != PARTS:
        raise Refused(
            f"{name}: expected a model that reads single texts, got one that reads articles as "
            f"{template(model)}; tapewire sentiment rescore scores stored articles by it"
        )
    return model


def _print_figures(found: dict[str, Any]) -> None:
    from training.sentiment.evaluate import summary

    table = Table("data", "texts", "accuracy", "macro F1", "ECE", "r", "sign")
    for name, one in found.items():
        table.add_row(*summary("/".join(Path(name).parts[-2:]), one))
    Console().print(table)


def _figures(one: Any) -> dict[str, Any]:
    return {
        "texts": one.n,
        "accuracy": one.accuracy._asdict(),
        "macro_f1": one.macro_f1._asdict(),
        "ece": one.ece,
        "classes": {name: each._asdict() for name, each in one.classes.items()},
        "confusion": one.confusion,
        "by_source": [each._asdict() for each in one.by_source],
        "by_length": [each._asdict() for each in one.by_length],
        "graded": one.graded._asdict() if one.graded else None,
    }
