"""Labelled texts in, a model folder out that the sentiment role can load."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from models.sentiment.manifest import MANIFEST, Manifest, Name
from models.sentiment.model import Probabilities
from models.sentiment.onnx import OnnxModel
from training.errors import TrainingRefused
from training.sentiment.calibrate import fitted_temperature, shares
from training.sentiment.evaluate import Evaluation, evaluate
from training.sentiment.files import complete_folder
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
    from training.sentiment.classifier import MAX_TOKENS, refuse_four_bit
    from training.sentiment.export import export
    from training.sentiment.finetune import base_digests, finetune

    _refuse_misfits(recipe, name)
    if recipe.four_bit:
        refuse_four_bit()
    _refuse_too_few(rows)
    made_from = {**base_digests(recipe.base), **(made_from or {})}
    if folder.exists():
        raise TrainingRefused(f"--out {folder}: expected a folder that is not there yet")
    progress("splitting", 0.0)
    everything = [*rows, *more]
    learn_at, choose_at = split(everything, seed=_SPLIT_SEED, only=len(rows))
    learn, choose = [everything[i] for i in learn_at], [everything[i] for i in choose_at]
    texts, labels = [row.text for row in choose], [row.label for row in choose]
    with tempfile.TemporaryDirectory() as unkept, complete_folder(folder) as made:
        model, tokenizer = finetune(
            learn,
            choose,
            recipe,
            work or Path(unkept),
            lambda share: progress("training", 0.05 + 0.85 * share),
        )
        progress("exporting", 0.9)
        exported = export(model, tokenizer, choose, made, exact=exact)
        temperature = fitted_temperature(exported.shipped, labels)
        manifest = Manifest(
            name=name,
            version=f"{recipe.seed}",
            labels=Probabilities._fields,
            max_tokens=MAX_TOKENS,
            files=exported.files,
            temperature=temperature,
            base_model=recipe.base,
            licence=licence,
            command=command,
            seed=recipe.seed,
            made_from=made_from,
        )
        _write(made, manifest)
        said = OnnxModel(made).probabilities(texts)
        shipped = evaluate(choose, said)
        manifest = msgspec.structs.replace(
            manifest, metrics=_metrics(shipped), reference=called(said)
        )
        _write(made, manifest)
    network = evaluate(choose, shares(exported.network, temperature))
    return Trained(folder, network, shipped, exported.parity._asdict())


def held_out(rows: Sequence[Labelled]) -> list[Labelled]:
    """The rows that epoch and temperature are chosen by, whatever the seed."""
    return [rows[i] for i in split(rows, seed=_SPLIT_SEED)[1]]


def called(said: Sequence[Probabilities]) -> Probabilities:
    """Which share of the texts each class is the likeliest of.

    Examples
    --------
    >>> called([Probabilities(0.1, 0.2, 0.7), Probabilities(0.5, 0.3, 0.2)])
    Probabilities(negative=0.5, neutral=0.0, positive=0.5)
    """
    n = Counter(max(range(3), key=score.__getitem__) for score in said)
    return Probabilities(*(n[label] / len(said) for label in range(3)))


def _write(folder: Path, manifest: Manifest) -> None:
    (folder / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")


def _metrics(found: Evaluation) -> dict[str, float]:
    return {
        "texts": found.n,
        "accuracy": round(found.accuracy.value, 4),
        "macro_f1": round(found.macro_f1.value, 4),
        "ece": round(found.ece, 4),
    }


def _refuse_misfits(recipe: Recipe, name: str) -> None:
    try:
        msgspec.convert(name, Name)
    except msgspec.ValidationError:
        raise TrainingRefused(
            f"--name {name}: expected 1 to 24 letters, digits, dots, dashes and underscores, the "
            "first a letter or digit"
        ) from None
    if not 0 <= recipe.seed < 2**32:
        raise TrainingRefused(f"--seed {recipe.seed}: expected 0 to {2**32 - 1}")
    if recipe.freeze and recipe.lora:
        raise TrainingRefused("--freeze and --lora: expected one; adapters freeze all layers")
    if recipe.four_bit and not recipe.lora:
        raise TrainingRefused("--qlora: expected --lora R too, the rank of what is learnt")


def _refuse_too_few(rows: Sequence[Labelled]) -> None:
    n = Counter(row.label for row in rows)
    if min(n[label] for label in range(3)) < _MIN_TEXTS:
        raise TrainingRefused(
            f"expected at least {_MIN_TEXTS} texts of each class, got "
            f"{n[0]} negative, {n[1]} neutral, {n[2]} positive"
        )
