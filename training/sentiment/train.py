"""Labelled texts in, a model folder out that the sentiment role can load."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from models.sentiment.onnx import OnnxModel
from training.errors import TrainingRefused
from training.sentiment.calibrate import shares
from training.sentiment.evaluate import Evaluation, evaluate
from training.sentiment.files import complete_folder
from training.sentiment.labelled import Labelled
from training.sentiment.make import Progress, called, make, refuse_misfits, write_manifest
from training.sentiment.recipe import Recipe
from training.sentiment.split import split

_MIN_TEXTS = 30  # of each class
_SPLIT_SEED = 13  # one split for all seeds of a recipe: they are compared on the same rows


class Trained(NamedTuple):
    """What came of it, on rows that were only chosen by."""

    folder: Path
    network: Evaluation
    shipped: Evaluation  # the same rows through the folder's files
    parity: dict[str, float]


def train(
    rows: Sequence[Labelled],
    more: Sequence[Labelled],
    recipe: Recipe,
    folder: Path,
    *,
    name: str,
    command: str,
    licence: str = "",
    made_from: Mapping[str, str] | None = None,
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
    name, command : what scores call the model, and what made it.
    licence, made_from : under which it may be used; sha256 of each data file by its name.
    exact : export all 32 bits of each weight in place of int8.
    work : where checkpoints are kept, so that a stopped run goes on; None: nowhere.

    Raises
    ------
    TrainingRefused
        A name that no score can carry, too few texts of a class, a base that cannot be had, a
        recipe that does not fit it, a loss that is no number, a folder that is there already or
        holds another run's checkpoints, or a file that says something else than the network.
    """
    refuse_misfits(recipe, name, folder)
    _refuse_too_few(rows)
    progress("splitting", 0.0)
    everything = [*rows, *more]
    learn_at, choose_at = split(everything, seed=_SPLIT_SEED, only=len(rows))
    learn, choose = [everything[i] for i in learn_at], [everything[i] for i in choose_at]
    with tempfile.TemporaryDirectory() as unkept, complete_folder(folder) as made:
        exported, manifest = make(
            learn,
            choose,
            recipe,
            made,
            work or Path(unkept),
            name=name,
            command=command,
            licence=licence,
            made_from=made_from or {},
            exact=exact,
            progress=progress,
        )
        said = OnnxModel(made).probabilities([row.text for row in choose])
        shipped = evaluate(choose, said)
        changed = msgspec.structs.replace(
            manifest, metrics=_metrics(shipped), reference=called(said)
        )
        write_manifest(made, changed)
    network = evaluate(choose, shares(exported.network, manifest.temperature))
    return Trained(folder, network, shipped, exported.parity._asdict())


def held_out(rows: Sequence[Labelled]) -> list[Labelled]:
    """The rows that epoch and temperature are chosen by, whatever the seed."""
    return [rows[i] for i in split(rows, seed=_SPLIT_SEED)[1]]


def _metrics(found: Evaluation) -> dict[str, float]:
    return {
        "texts": found.n,
        "accuracy": round(found.accuracy.value, 4),
        "macro_f1": round(found.macro_f1.value, 4),
        "ece": round(found.ece, 4),
    }


def _refuse_too_few(rows: Sequence[Labelled]) -> None:
    n = Counter(row.label for row in rows)
    if min(n[label] for label in range(3)) < _MIN_TEXTS:
        raise TrainingRefused(
            f"expected at least {_MIN_TEXTS} texts of each class, got "
            f"{n[0]} negative, {n[1]} neutral, {n[2]} positive"
        )
