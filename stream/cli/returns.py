"""`tapewire sentiment train-returns`: a text model fine-tuned on what prices did after the news."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from models.sentiment.model import load_sentiment_model
from stream.cli.extras import needs
from stream.cli.last_demo import stored
from stream.cli.learn import AcceptOption, GatesOption, ModelRefused, gates_of
from stream.cli.progress import step_progress
from stream.cli.run import JsonFlag
from stream.settings import read_settings


def train_returns(
    out: Annotated[Path, typer.Option(help="Folder to write the model to.")],
    horizon: Annotated[
        str | None, typer.Option(help="Of the labels, e.g. 30m or 1d; docs/labels.md.")
    ] = None,
    name: Annotated[str, typer.Option(help="What scores will call it.")] = "returns",
    base: Annotated[str, typer.Option(help="minilm, a folder, or a name of the hub.")] = "minilm",
    tokens: Annotated[int, typer.Option(min=16, help="Of one text; the body is cut.")] = 512,
    most: Annotated[
        int | None, typer.Option(min=100, help="Rows to learn from in a fold; default: all.")
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="At most.")] = 2,
    rate: Annotated[float, typer.Option(min=1e-6, help="Learning rate of the encoder.")] = 5e-5,
    lora: Annotated[int, typer.Option(min=0, help="Rank of adapters; 0: all weights.")] = 0,
    freeze: Annotated[int, typer.Option(min=0, help="Lowest layers to leave as they are.")] = 0,
    exact: Annotated[bool, typer.Option(help="32-bit weights; else int8.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of every random choice.")] = 0,
    licence: Annotated[str, typer.Option(help="Under which the model may be used.")] = "",
    gates: GatesOption = None,
    accept: AcceptOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Learn from stored articles what prices did next, relative to the market; 3 when refused.

    A model with doubts (WARN) is written, and the sentiment role refuses it. Without
    TAPEWIRE_DATABASE it trains on the last demo.

    Example: tapewire sentiment train-returns --horizon 1d --out reactions
    """
    from stream.scoring.configured import policy_of
    from stream.sentiment.directory import read_directory

    with needs("sentiment train-returns", "torch"):
        import training.sentiment.finetune  # noqa: F401 - it misses torch before the replay
        from training.errors import TrainingRefused
        from training.history import open_history
        from training.sentiment.reactions import read_reactions
        from training.sentiment.recipe import Recipe
        from training.sentiment.returns import train_on_returns

    recipe = Recipe(base, seed, epochs, rate, lora, freeze, max_tokens=tokens, odds=True)
    try:
        with stored(read_settings()) as settings, step_progress("returns") as progress:
            policy = policy_of(settings)
            dsn = settings.database.get_secret_value()
            with open_history(dsn, settings.namespace, policy.tape) as history:
                found = read_reactions(
                    history, policy, horizon, lambda step, share: progress(step, 0.2 * share)
                )
            learnt = train_on_returns(
                found,
                recipe,
                out,
                name=name,
                command=shlex.join(["tapewire", *sys.argv[1:]]),
                licence=licence,
                exact=exact,
                most=most,
                gates=gates_of(gates),
                accepted=accept,
                rivals=[load_sentiment_model("lexicon")],
                directory=read_directory(settings.symbols_file),
                progress=lambda step, share: progress(step, 0.2 + 0.8 * share),
                judged=lambda card: None if as_json else print(card, end=""),
            )
    except TrainingRefused as error:
        raise ModelRefused(f"model refused: {error}") from error
    if as_json:
        verdict = {"verdict": learnt.verdict.says, "reason": learnt.verdict.reason}
        print(json.dumps({"folder": str(out), **verdict, "metrics": learnt.metrics}))
