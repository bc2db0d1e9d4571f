"""Learners by name; several joined by + are an ensemble."""

from __future__ import annotations

from importlib import import_module

from training.errors import TrainingRefused
from training.learners.ensemble import Ensemble
from training.learners.learner import Learner

# Imported when named: only LightGBM is in the core installation.
_CLASSES = {
    "lightgbm": "LightGBM",
    "xgboost": "XGBoost",
    "forest": "Forest",
    "boosting": "Boosting",
    "linear": "Linear",
    "sequence": "Sequence",
}
NAMES = tuple(_CLASSES)


def learner(name: str) -> Learner:
    """The learner `name`, such as lightgbm or lightgbm+linear.

    Raises
    ------
    TrainingRefused
        There is none of that name, or it is named twice.
    ImportError
        Its library is not installed.
    """
    parts = name.split("+")
    if not set(parts) <= set(NAMES) or len(set(parts)) < len(parts):
        raise TrainingRefused(
            f"learner {name!r}: expected one of {', '.join(NAMES)}, or several joined by +"
        )
    found = tuple(_one(part) for part in parts)
    return found[0] if len(found) == 1 else Ensemble(found)


def _one(name: str) -> Learner:
    made: Learner = getattr(import_module(f"training.learners.{name}"), _CLASSES[name])()
    return made
