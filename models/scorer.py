"""From a feature vector to class probabilities: what every model offers, and the trained one."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from math import exp
from typing import NamedTuple, Protocol

from models.artifact import CLASSES, Artifact, ArtifactError, Curve, Reference
from models.dissimilarity import Dissimilarity
from models.pool import Pool
from models.row import Row

# A feature is out of range beyond its 0.1 % and 99.9 % quantiles, widened by their distance; a
# vector is unlike the training data when more than this share of its features is.
UNLIKE_SHARE = 0.15
_RANGE = ("0.001", "0.999")


class Score(NamedTuple):
    """Class probabilities, summing to 1, and the expected return over the horizon."""

    bearish: float
    neutral: float
    bullish: float
    expected_return_bps: float | None


class Scorer(Protocol):
    """A model at work. `horizon_s` in seconds; `threshold` the least confidence to act on."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def horizon(self) -> str: ...
    @property
    def horizon_s(self) -> float: ...
    @property
    def feature_set(self) -> str: ...
    @property
    def feature_set_version(self) -> int: ...
    @property
    def threshold(self) -> float: ...
    @property
    def trained_until_us(self) -> int | None: ...
    @property
    def sentiment_model(self) -> str | None: ...
    @property
    def reads_sequence(self) -> bool: ...

    def score(self, features: Sequence[float | None], sequence: bytes | None = None) -> Score:
        """Score one vector, ordered as the feature set's names; None is no data.

        Parameters
        ----------
        sequence : of the newest panes, for a model that reads it.
        """

    def unlike(self, features: Sequence[float | None]) -> bool:
        """Whether the vector is unlike what the model was trained on."""


class ArtifactScorer:
    """A trained artifact at work, for one thread.

    Raises
    ------
    ArtifactError
        A member is missing, unreadable or of another shape than the artifact says.
    """

    def __init__(self, artifact: Artifact) -> None:
        direction, expected = artifact.of("direction"), artifact.of("return")
        if not direction:
            raise ArtifactError(
                f"artifact {artifact.version}: expected a member for direction, got none; retrain"
            )
        n = len(artifact.feature_names)
        self.name = artifact.name
        self.version = artifact.version
        self.horizon = artifact.horizon
        self.horizon_s = artifact.horizon_s
        self.feature_set = artifact.feature_set
        self.feature_set_version = artifact.feature_set_version
        self.threshold = artifact.threshold
        self.trained_until_us: int | None = artifact.trained_until_us
        self.sentiment_model = artifact.sentiment_model
        self._row = Row(n)
        self.reads_sequence = artifact.reads_sequence
        self._direction = Pool(direction, n, len(CLASSES))
        self._return = Pool(expected, n, 1) if expected else None
        self._unit = artifact.unit
        self._unit_at = _column(artifact)
        for pool in filter(None, (self._direction, self._return)):
            if pool.n_channels - {len(artifact.channels)}:
                raise ArtifactError(
                    f"artifact {artifact.version}: expected members of {len(artifact.channels)} "
                    f"channels of panes, got {sorted(pool.n_channels)}; retrain"
                )
        self._calibration = artifact.calibration
        for curve in artifact.calibration.isotonic or ():
            _check_curve(artifact.version, curve)
        self._ranges = [_range(one) for one in artifact.reference]
        self._most_out = UNLIKE_SHARE * n
        prototypes = artifact.prototypes
        self._dissimilarity = (
            None if prototypes is None else Dissimilarity(prototypes, artifact.reference)
        )

    def score(self, features: Sequence[float | None], sequence: bytes | None = None) -> Score:
        """Calibrated probabilities and expected return in basis points; 20 to 200 us."""
        calibration, row = self._calibration, self._row.fill(features)
        raw_scores = self._direction.raw(row, sequence)
        probabilities = calibrated(raw_scores, calibration.scale, calibration.offsets)
        if calibration.isotonic is not None:
            probabilities = stepped(probabilities, calibration.isotonic)
        bps = None
        if self._return is not None:
            raw = self._return.raw(row, sequence)[0]
            bps = calibration.return_scale * raw + calibration.return_offset
            if self._unit is not None:
                bps *= self._unit.bps(features[self._unit_at])
        return Score(*probabilities, bps)

    def unlike(self, features: Sequence[float | None]) -> bool:
        """Whether too many features are out of range, or missing where they never were, or the
        vector lies far from every training row."""
        n_out = 0
        for value, (low, high, may_miss) in zip(features, self._ranges, strict=True):
            if value is None:
                n_out += not may_miss
            elif not low <= value <= high:
                n_out += 1
        if n_out > self._most_out:
            return True
        index = self._dissimilarity
        return index is not None and index.row(self._row.fill(features)) > index.limit


def calibrated(
    raw: Sequence[float], scale: float, offsets: tuple[float, float, float]
) -> tuple[float, float, float]:
    """Softmax of scale * raw + offsets, in the order of CLASSES."""
    a = scale * raw[0] + offsets[0]
    b = scale * raw[1] + offsets[1]
    c = scale * raw[2] + offsets[2]
    top = max(a, b, c)
    a, b, c = exp(a - top), exp(b - top), exp(c - top)
    total = a + b + c
    return a / total, b / total, c / total


def stepped(
    probabilities: tuple[float, float, float], curves: tuple[Curve, Curve, Curve]
) -> tuple[float, float, float]:
    """Each probability through its class's curve, then divided by their sum."""
    a, b, c = (_along(curve, p) for curve, p in zip(curves, probabilities, strict=True))
    total = a + b + c
    return a / total, b / total, c / total


def _column(artifact: Artifact) -> int:
    unit = artifact.unit
    if unit is None:
        return 0
    if unit.feature not in artifact.feature_names:
        raise ArtifactError(
            f"artifact {artifact.version}: expected the feature {unit.feature!r}, whose units its "
            "return counts in, among its features, found none; retrain"
        )
    return artifact.feature_names.index(unit.feature)


def _check_curve(version: str, curve: Curve) -> None:
    ascending = list(curve.x) == sorted(set(curve.x)) and list(curve.y) == sorted(curve.y)
    if not ascending or not 0 < len(curve.x) == len(curve.y) or curve.y[0] <= 0.0:
        raise ArtifactError(
            f"artifact {version}: expected calibration curves that ascend from above 0, "
            f"got x {curve.x} and y {curve.y}; retrain"
        )


def _along(curve: Curve, x: float) -> float:
    i = bisect_right(curve.x, x)
    if i == 0:
        return curve.y[0]
    if i == len(curve.x):
        return curve.y[-1]
    x0, y0 = curve.x[i - 1], curve.y[i - 1]
    return y0 + (curve.y[i] - y0) * ((x - x0) / (curve.x[i] - x0))


def _range(reference: Reference) -> tuple[float, float, bool]:
    may_miss = reference.missing > 0.0
    if not reference.quantiles:
        return float("-inf"), float("inf"), may_miss
    low, high = (reference.quantiles[q] for q in _RANGE)
    width = high - low
    return low - width, high + width, may_miss
