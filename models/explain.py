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


class Explainer:
    """An artifact's direction, ready to be explained; may be shared by threads.

    Raises
    ------
    ArtifactError
        The artifact has no member for direction, or it cannot be read or is of another shape.
    """

    def __init__(self, artifact: Artifact) -> None:
        member = artifact.member("direction")
        if member is None:
            raise ArtifactError(f"artifact {artifact.version}: expected a member for direction")
        try:
            self._booster = lightgbm.Booster(model_str=member.text)
        except lightgbm.basic.LightGBMError as error:
            raise ArtifactError(f"artifact {artifact.version}: {error}") from None
        shape = (self._booster.num_feature(), self._booster.num_model_per_iteration())
        if shape != (expected := (len(artifact.feature_names), len(CLASSES))):
            raise ArtifactError(
                f"artifact {artifact.version}: expected a member of {expected} features and "
                f"classes, got {shape}"
            )
        self.artifact = artifact

    def explain(self, features: Sequence[float | None]) -> Explained:
        """Explain one vector, ordered as the artifact's feature names; about 10 ms, one thread.

        Raises ArtifactError where the vector has another length.
        """
        names = self.artifact.feature_names
        if len(features) != len(names):
            raise ArtifactError(
                f"artifact {self.artifact.version}: expected {len(names)} features, "
                f"got {len(features)}"
            )
        row = np.array([features], dtype=np.float64)  # None becomes NaN
        contributions = np.asarray(self._booster.predict(row, pred_contrib=True, num_threads=1))
        by_class = contributions.reshape(len(CLASSES), -1)
        *shares, base = (by_class[_BULLISH] - by_class[_BEARISH]).tolist()
        found = [Contribution(*each) for each in zip(names, features, shares, strict=True)]
        found.sort(key=lambda each: (-abs(each.log_odds), each.feature))
        return Explained(base, tuple(found))
