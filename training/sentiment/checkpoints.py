"""The folder of a run: whose it is, which checkpoint can be gone on from, and how it ended."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from training.errors import TrainingRefused
from training.sentiment.labelled import Labelled
from training.sentiment.recipe import Recipe

_RUN = "run.json"
_STATE = "trainer_state.json"  # of a checkpoint's files the last that is written
WEIGHTS = "trained.safetensors"  # of the best epoch: training is over


class Checkpoint(NamedTuple):
    """A whole one. `stopped_at`: the epoch at which patience had ended; None: it may go on."""

    folder: Path
    stopped_at: int | None


def own(
    folder: Path,
    recipe: Recipe,
    learn: Sequence[Labelled],
    choose: Sequence[Labelled],
    base: dict[str, str],
) -> None:
    """Sign the folder with this run; refuse one with another's checkpoints.

    Parameters
    ----------
    base : sha256 of the base's weights by file name.
    """
    run = {
        **{name: value for name, value in recipe._asdict().items() if name != "base"},
        "base": base,
        "texts to learn from": _digest(learn),
        "texts to choose by": _digest(choose),
    }
    folder.mkdir(parents=True, exist_ok=True)
    signed = folder / _RUN
    if signed.exists() or _numbered(folder):
        was = _parsed(signed) or {}
        other = [name for name, value in run.items() if was.get(name) != value]
        if other:
            raise TrainingRefused(
                f"--resume {folder}: expected checkpoints of this run, found another's "
                f"({', '.join(other)}); name another folder, or call it as it was called"
            )
    written = signed.with_suffix(".part")
    written.write_text(json.dumps(run, indent=1), "utf-8")
    os.replace(written, signed)


def newest(folder: Path, patience: int) -> Checkpoint | None:
    """The last whole checkpoint; those that a kill cut short are removed.

    Raises
    ------
    TrainingRefused
        The folder was moved: the best epoch's checkpoint lies no more where it was.
    """
    for each in _numbered(folder):
        state = _parsed(each / _STATE)
        if state is None:
            shutil.rmtree(each)
            continue
        best = state.get("best_model_checkpoint")
        if best is not None and not Path(best).is_dir():
            raise TrainingRefused(
                f"--resume {folder}: expected the best epoch in {best}, found none; "
                "move the folder back or name a new one"
            )
        kept = state.get("stateful_callbacks", {}).get("EarlyStoppingCallback", {})
        waited = kept.get("attributes", {}).get("early_stopping_patience_counter", 0)
        return Checkpoint(each, round(state["epoch"]) if waited >= patience else None)
    return None


def _numbered(folder: Path) -> list[Path]:
    """Checkpoints, the newest first."""
    found = [each for each in folder.glob("checkpoint-*") if each.name[11:].isdecimal()]
    return sorted(found, key=lambda each: -int(each.name[11:]))


def _parsed(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _digest(rows: Sequence[Labelled]) -> str:
    told = hashlib.sha256()
    for row in rows:
        told.update(json.dumps([row.text, row.target, row.weight]).encode())
    return told.hexdigest()
