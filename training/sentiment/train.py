"""Labelled texts in, a model folder out that the sentiment role can load."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from training.errors import TrainingRefused
from training.sentiment.calibrate import fitted_temperature, shares
from training.sentiment.evaluate import Evaluation, evaluate
from training.sentiment.labelled import Labelled
from training.sentiment.recipe import Recipe
from training.sentiment.split import split

_MIN_TEXTS = 30  # of each class
_SPLIT_SEED = 13  # one split for all seeds of a recipe: they are compared on the same rows
Progress = Callable[[str, float], None]


class Trained(NamedTuple):
    """What came of it, on rows that were only chosen by."""

    folder: Path
    network: Evaluation
    shipped: Evaluation  # the same rows through the int8 file
    parity: dict[str, float]


def train(
    rows: Sequence[Labelled],
    more: Sequence[Labelled],
    recipe: Recipe,
    folder: Path,
    manifest: dict[str, Any],
    *,
    exact: bool = False,
    work: Path | None = None,
    progress: Progress = lambda step, share: None,
) -> Trained:
    """Fine-tune, calibrate, export; the folder is complete or not there.

    Parameters
    ----------
    rows : split into what is learnt from and what epoch and temperature are chosen by.
    more : only learnt from: templates, a teacher's soft labels; near-duplicates of the others'
        held part are left out.
    exact : export all 32 bits of each weight in place of int8.
    work : where checkpoints are kept, so that a stopped run goes on; None: nowhere.

    Raises
    ------
    TrainingRefused
        Too few texts of a class, a base that cannot be had, a loss that is no number, or an int8
        file that says something else.
    """
    from training.sentiment.export import export, run_file
    from training.sentiment.finetune import finetune

    _refuse_too_few(rows)
    progress("splitting", 0.0)
    everything = [*rows, *more]
    learn_at, choose_at = split(everything, seed=_SPLIT_SEED, only=len(rows))
    learn, choose = [everything[i] for i in learn_at], [everything[i] for i in choose_at]
    with tempfile.TemporaryDirectory() as unkept:
        model, tokenizer = finetune(
            learn,
            choose,
            recipe,
            work or Path(unkept),
            lambda share: progress("training", 0.05 + 0.85 * share),
        )
    progress("exporting", 0.9)
    logits = model.logits([row.text for row in choose], tokenizer)
    temperature = fitted_temperature(logits, [row.label for row in choose])
    whole = {**manifest, "seed": recipe.seed, "temperature": temperature}
    parity = export(model, tokenizer, choose, folder, whole, exact=exact)
    small = run_file(folder / "model.onnx", tokenizer, choose)
    found = Trained(
        folder,
        network=evaluate(choose, shares(logits, temperature)),
        shipped=evaluate(choose, shares(small, temperature)),
        parity=parity._asdict(),
    )
    _note(folder, found)
    return found


def _refuse_too_few(rows: Sequence[Labelled]) -> None:
    n = [sum(row.label == label for row in rows) for label in range(3)]
    if min(n) < _MIN_TEXTS:
        raise TrainingRefused(
            f"expected at least {_MIN_TEXTS} texts of each class, got "
            f"{n[0]} negative, {n[1]} neutral, {n[2]} positive"
        )


def _note(folder: Path, found: Trained) -> None:
    path = folder / "manifest.json"
    told = json.loads(path.read_text())
    told["metrics"] = {
        "texts": found.shipped.n,
        "accuracy": round(found.shipped.accuracy.value, 4),
        "macro_f1": round(found.shipped.macro_f1.value, 4),
        "ece": round(found.shipped.ece, 4),
    }
    path.write_text(json.dumps(told, indent=2) + "\n")
