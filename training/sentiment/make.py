"""A model folder from rows to learn from and rows to choose by: tuned, calibrated, exported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from models.sentiment.manifest import MANIFEST, Manifest, Name
from models.sentiment.model import PARTS, Probabilities
from training.calibrate import fit_scale
from training.errors import TrainingRefused
from training.sentiment.calibrate import fitted_temperature
from training.sentiment.labelled import Labelled
from training.sentiment.recipe import Recipe

if TYPE_CHECKING:
    from training.sentiment.export import Exported

Progress = Callable[[str, float], None]
_LEAST_SCALE = 0.01  # a manifest's temperature is at most 100


def make(
    learn: Sequence[Labelled],
    choose: Sequence[Labelled],
    recipe: Recipe,
    folder: Path,
    work: Path,
    *,
    name: str,
    command: str,
    licence: str = "",
    made_from: Mapping[str, str],
    exact: bool = False,
    template: str = PARTS,
    progress: Progress = lambda step, share: None,
) -> tuple[Exported, Manifest]:
    """Fill `folder` with a model that can be loaded; its manifest lacks metrics and reference.

    Parameters
    ----------
    choose : rows by which epoch and calibration are chosen.
    work : where checkpoints are kept.
    template : how its texts are put together.

    Raises
    ------
    TrainingRefused
        As `finetune` and `export` do.
    """
    from training.sentiment.export import export
    from training.sentiment.finetune import base_digests, finetune

    model, tokenizer = finetune(
        learn, choose, recipe, work, lambda share: progress("training", 0.05 + 0.85 * share)
    )
    progress("exporting", 0.9)
    exported = export(
        model, tokenizer, choose, folder,
        exact=exact, max_tokens=recipe.max_tokens, odds=recipe.odds,
    )  # fmt: skip
    labels = [row.label for row in choose]
    offsets = (0.0, 0.0, 0.0)
    if recipe.odds:
        temperature, offsets = _towards_prior(exported.shipped, labels, learn)
    else:
        temperature = fitted_temperature(exported.shipped, labels)
    manifest = Manifest(
        name=name,
        version=f"{recipe.seed}",
        labels=Probabilities._fields,
        max_tokens=recipe.max_tokens,
        files=exported.files,
        temperature=temperature,
        offsets=offsets,
        template=template,
        base_model=recipe.base,
        licence=licence,
        command=command,
        seed=recipe.seed,
        made_from={**base_digests(recipe.base), **made_from},
    )
    write_manifest(folder, manifest)
    return exported, manifest


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """As JSON that a person can read."""
    (folder / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")


def called(said: Sequence[Probabilities]) -> Probabilities:
    """Which share of the texts each class is the likeliest of.

    Examples
    --------
    >>> called([Probabilities(0.1, 0.2, 0.7), Probabilities(0.5, 0.3, 0.2)])
    Probabilities(negative=0.5, neutral=0.0, positive=0.5)
    """
    n = Counter(max(range(3), key=score.__getitem__) for score in said)
    return Probabilities(*(n[label] / len(said) for label in range(3)))


def refuse_misfits(recipe: Recipe, name: str, folder: Path) -> None:
    """Raises TrainingRefused for what cannot be made, before any work is done."""
    from training.sentiment.classifier import refuse_four_bit

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
    if recipe.four_bit:
        refuse_four_bit()
    if folder.exists():
        raise TrainingRefused(f"--out {folder}: expected a folder that is not there yet")


def _towards_prior(
    logits: np.ndarray, labels: Sequence[int], learn: Sequence[Labelled]
) -> tuple[float, tuple[float, float, float]]:
    """Temperature and offsets that draw odds towards the class shares, as far as it takes."""
    counts = np.bincount([row.label for row in learn], minlength=3)
    prior = counts / counts.sum()
    scale = max(_LEAST_SCALE, fit_scale(logits.astype(float), np.array(labels), prior))
    a, b, c = ((1.0 - scale) * np.log(prior)).tolist()
    return 1.0 / scale, (a, b, c)
