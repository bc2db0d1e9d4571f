"""What each feature added to a score: TreeSHAP of a trained artifact, for one vector.

The contributions and the base sum to log(P(bullish) / P(bearish)) as the trees say it, before the
calibration.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import lightgbm
import numpy as np

from models.artifact import CLASSES, Artifact, ArtifactError

_BEARISH, _BULLISH = CLASSES.index("bearish"), CLASSES.index("bullish")


class Contribution(NamedTuple):
    """log_odds above 0 speaks for bullish. value: None is no data."""

    feature: str
    value: float | None
    log_odds: float


class Explained(NamedTuple):
    """base: the mean over the training rows. The largest contributions come first."""

    base: float
    contributions: tuple[Contribution, ...]

    @property
    def log_odds(self) -> float:
        """Of bullish against bearish, before the calibration."""
        return self.base + sum(each.log_odds for each in self.contributions)


def explain(artifact: Artifact, features: Sequence[float | None]) -> Explained:
    """Explain the artifact's direction for one vector, ordered as its feature names.

    Raises
    ------
    ArtifactError
        The vector has another length, or the member cannot be read.
    """
    names, member = artifact.feature_names, artifact.member("direction")
    if len(features) != len(names):
        raise ArtifactError(
            f"artifact {artifact.version}: expected {len(names)} features, got {len(features)}"
        )
    if member is None:
        raise ArtifactError(f"artifact {artifact.version}: expected a member for direction")
    try:
        booster = lightgbm.Booster(model_str=member.text)
    except lightgbm.basic.LightGBMError as error:
        raise ArtifactError(f"artifact {artifact.version}: {error}") from None
    row = np.array([[np.nan if value is None else value for value in features]])
    by_class = np.asarray(booster.predict(row, pred_contrib=True)).reshape(len(CLASSES), -1)
    sides = by_class[_BULLISH] - by_class[_BEARISH]
    found = [Contribution(*each) for each in zip(names, features, sides[:-1].tolist(), strict=True)]
    found.sort(key=lambda each: (-abs(each.log_odds), each.feature))
    return Explained(float(sides[-1]), tuple(found))
