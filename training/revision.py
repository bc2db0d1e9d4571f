"""What trained a model: the sources and the wheels."""

from __future__ import annotations

import platform
from importlib import metadata

from stream.scoring.build import source_digest

_SOURCES = ("stream/features", "stream/scoring", "models", "training")
_WHEELS = ("lightgbm", "numpy", "msgspec", "scikit-learn", "torch", "xgboost-cpu")


def code_revision() -> str:
    """Twelve hex digits that name the sources of features, scoring, models and training."""
    return source_digest(_SOURCES, 6)


def wheels() -> dict[str, str]:
    """Versions of Python and of what trains, where it is installed."""
    found = {each.name.lower(): each.version for each in metadata.distributions()}
    return {name: found[name] for name in _WHEELS if name in found} | {
        "python": platform.python_version()
    }
