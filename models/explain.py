"""What each feature added to a score of a trained artifact, for one vector.

TreeSHAP for trees, coefficient times rank for linear members, weighted as the members are. The
contributions and the base sum to log(P(bullish) / P(bearish)) before the calibration.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import lightgbm
import numpy as np

from models.artifact import CLASSES, Artifact, ArtifactError, Member
from models.linear import Floats, LinearModel
from models.scope import Speakers

_BEARISH, _BULLISH = CLASSES.index("bearish"), CLASSES.index("bullish")


class Contribution(NamedTuple):
    """log_odds above 0 speaks for bullish. value: None is no data."""

    feature: str
    value: float | None
    log_odds: float


class Explained(NamedTuple):
    """base: the mean over the training rows of who speaks (linear members: of middle ranks). The
    largest contributions come first."""

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
        The artifact has no member for direction, or one cannot be read, is of another shape, or
        gives what does not add up in log-odds.
    """

    def __init__(self, artifact: Artifact) -> None:
        members = artifact.of("direction")
        if not members:
            raise ArtifactError(f"artifact {artifact.version}: expected a member for direction")
        n = len(artifact.feature_names)
        self._speakers = Speakers(
            members, n, lambda each: (_shares(artifact.version, each, n), each)
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
        row = np.array(features, dtype=np.float64)  # None becomes NaN
        sides = np.zeros(len(names) + 1)
        for shares, member in self._speakers.of(row):
            by_class = shares(row)
            if member.bias:
                by_class[:, -1] += member.bias
            sides += member.weight * (by_class[_BULLISH] - by_class[_BEARISH])
        *added, base = sides.tolist()
        found = [Contribution(*each) for each in zip(names, features, added, strict=True)]
        found.sort(key=lambda each: (-abs(each.log_odds), each.feature))
        return Explained(base, tuple(found))


def _shares(version: str, member: Member, n_features: int) -> Callable[[Floats], Floats]:
    """From a row to (classes, features + 1) contributions to the raw scores, the base last."""
    if member.link == "probability":
        raise ArtifactError(
            f"artifact {version}: member {member.learner}: expected raw scores that add up in "
            "log-odds, got probabilities; it cannot be explained by contributions"
        )
    if member.format == "sequence":
        raise ArtifactError(
            f"artifact {version}: member {member.learner}: it reads panes one by one and no "
            "feature; it cannot be explained by what features add"
        )
    if member.format == "linear":
        line = LinearModel(member.text, n_features, len(CLASSES))
        return lambda row: np.column_stack([line.shares(row), line.intercepts])
    try:
        booster = lightgbm.Booster(model_str=member.text)
    except lightgbm.basic.LightGBMError as error:
        raise ArtifactError(f"artifact {version}: {error}") from None
    shape = (booster.num_feature(), booster.num_model_per_iteration())
    if shape != (expected := (n_features, len(CLASSES))):
        raise ArtifactError(
            f"artifact {version}: expected a member of {expected} features and classes, got {shape}"
        )

    def of_trees(row: Floats) -> Floats:
        told = np.array(booster.predict(row[None, :], pred_contrib=True, num_threads=1))
        out: Floats = told.reshape(len(CLASSES), -1)
        return out

    return of_trees
