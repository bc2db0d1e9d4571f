"""The artifact: the whole contract between training and serving, as JSON. No pickle.

to_bytes -> sha256 -> registry -> from_bytes(raw, sha256) -> check_fits -> ArtifactScorer
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal

import msgspec
from msgspec import Struct

from models.unit import Target, Unit

FORMAT = 1  # of the JSON; a reader refuses a newer one
CLASSES = ("bearish", "neutral", "bullish")

_SHOWN = 5  # names spelled out in a message


class ArtifactError(Exception):
    """The artifact is damaged, unknown or does not fit; says what was expected, came, and to do."""


class Scope(Struct, frozen=True, kw_only=True):
    """The vectors whose feature number `feature` has one of the values, such as some sectors'."""

    feature: int
    values: tuple[float, ...]


class Member(Struct, frozen=True, kw_only=True):
    """One model. direction: a raw score per class of CLASSES; return: units of the artifact.

    format : lightgbm is the text of LightGBM's trees, which other libraries' trees are written
        as too; linear is the JSON of `models.linear.Line`; sequence that of
        `models.sequence.Lstm`, which reads the newest panes and no feature.
    learner : what trained it.
    weight : of its raw scores among those of its role, which are added up.
    bias : added to its raw scores; empty: nothing.
    link : what the text gives: log-odds up to a constant a row, or probabilities, whose logarithm
        is the raw score.
    scope : the vectors it speaks for, with others of its scope; None: all that are in no scope.
    """

    role: Literal["direction", "return"]
    format: Literal["lightgbm", "linear", "sequence"]
    text: str
    learner: str = "lightgbm"
    weight: float = 1.0
    bias: tuple[float, ...] = ()
    link: Literal["logit", "probability"] = "logit"
    scope: Scope | None = None


class Curve(Struct, frozen=True, kw_only=True):
    """A function by its corners: straight between them, flat outside. x ascending."""

    x: tuple[float, ...]
    y: tuple[float, ...]


class Calibration(Struct, frozen=True, kw_only=True):
    """logits = scale * raw + offsets, then softmax; return_scale * raw + return_offset units.

    A scale of 0 leaves the class shares of training: no opinion.

    isotonic : a curve per class of CLASSES over its probability; the three are then divided by
        their sum. None: the softmax is the answer.
    """

    scale: float
    offsets: tuple[float, float, float]
    return_scale: float = 1.0
    return_offset: float = 0.0
    isotonic: tuple[Curve, Curve, Curve] | None = None


class Reference(Struct, frozen=True, kw_only=True):
    """How one feature was distributed in training. Quantiles are of the rows that have a value.

    missing : share of rows without a value, 0..1. No quantiles: it never had one, or its values
        are codes of categories.
    """

    missing: float
    quantiles: dict[str, float]  # "0.001", "0.01", "0.1", "0.5", "0.9", "0.99", "0.999"


class Prototypes(Struct, frozen=True, kw_only=True):
    """Where the training rows lie, for the dissimilarity index (`models.dissimilarity`).

    whitening : (f, k) float64, little-endian, row by row: from standard values to directions of
        equal spread. points : (m, k), some training rows in those directions.
    mean_distance : of the training rows to their nearest point.
    limit : the index above which a row is unlike the training data.
    """

    whitening: bytes
    points: bytes
    mean_distance: float
    limit: float


class Artifact(Struct, frozen=True, kw_only=True):
    """A trained model and all that serving must know of it. Times in microseconds since 1970.

    version : names the content: trained_until and a digest of everything else.
    parameters : hyperparameters it was fitted with.
    threshold : least confidence of an actionable signal, 0..1.
    sentiment_model : the model whose scores it was trained on; None: there were none.
    data_fingerprint : sha256 of the training table; empty: not known.
    target : what its expected return is of, and learnt as. unit : what members for the return
        count in; None: basis points.
    channels : of the sequences of panes that its members read; empty: they read none.
    """

    name: str
    version: str
    members: tuple[Member, ...]
    calibration: Calibration
    feature_set: str
    feature_set_version: int
    feature_names: tuple[str, ...]
    sentiment_model: str | None
    horizon: str
    horizon_s: float
    threshold: float
    trained_from_us: int
    trained_until_us: int
    n_rows: int
    reference: tuple[Reference, ...]  # one a feature, in order
    prototypes: Prototypes | None = None  # None: only ranges tell a strange input
    metrics: dict[str, float | None]
    parameters: dict[str, float] = {}
    code_revision: str
    wheels: dict[str, str]
    seed: int
    data_fingerprint: str = ""
    target: Target = "raw"
    unit: Unit | None = None
    channels: tuple[str, ...] = ()
    format: int = FORMAT

    def of(self, role: str) -> tuple[Member, ...]:
        """The members of that role."""
        return tuple(member for member in self.members if member.role == role)

    @property
    def reads_sequence(self) -> bool:
        """Whether a member reads the newest panes one by one."""
        return any(member.format == "sequence" for member in self.members)

    @property
    def architecture(self) -> str:
        """Its members by role, such as `direction: lightgbm; scaled return: linear`.

        A member with a scope is in parentheses.
        """
        roles: dict[str, list[str]] = {}
        for member in self.members:
            is_raw = member.role == "direction" or self.target == "raw"
            role = member.role if is_raw else f"{self.target} {member.role}"
            told = member.format if member.scope is None else f"({member.format})"
            roles.setdefault(role, []).append(told)
        return "; ".join(f"{role}: {' + '.join(made)}" for role, made in roles.items())

    def check_fits(
        self,
        feature_set: str,
        version: int,
        names: Sequence[str],
        sentiment_model: str | None = None,
        channels: Sequence[str] | None = None,
    ) -> None:
        """Raise ArtifactError with the exact difference unless it scores such vectors.

        Parameters
        ----------
        sentiment_model : whose scores the vectors hold; None: of no matter.
        channels : of the sequences beside them; None: of no matter.
        """
        difference = fits(self, feature_set, version, names, channels)
        own = self.sentiment_model
        if difference is None and own and sentiment_model and own != sentiment_model:
            difference = f"expected sentiment model {sentiment_model!r}, got {own!r}"
        if difference is not None:
            raise ArtifactError(
                f"artifact {self.version} does not fit: {difference}; "
                "retrain on this feature set (tapewire retrain --promote)"
            )


def fits(
    artifact: Artifact,
    feature_set: str,
    version: int,
    names: Sequence[str],
    channels: Sequence[str] | None = None,
) -> str | None:
    """What keeps the artifact from scoring vectors of that feature set; None when it fits.

    Parameters
    ----------
    channels : of the sequences beside the vectors; None: of no matter.
    """
    if artifact.feature_set != feature_set:
        return f"expected feature set {feature_set!r}, got {artifact.feature_set!r}"
    if artifact.feature_set_version != version:
        return (
            f"expected version {version} of feature set {feature_set!r}, "
            f"got {artifact.feature_set_version}"
        )
    if artifact.reads_sequence and channels is not None and artifact.channels != tuple(channels):
        return f"expected channels {_some(channels)} of panes, got {_some(artifact.channels)}"
    own = artifact.feature_names
    if own == tuple(names):
        return None
    lacks = [name for name in names if name not in set(own)]
    extra = [name for name in own if name not in set(names)]
    if lacks or extra:
        return f"its features lack {_some(lacks)} and have {_some(extra)} besides"
    i = next(i for i, (a, b) in enumerate(zip(own, names, strict=False)) if a != b)
    return f"feature {i}: expected {names[i]!r}, got {own[i]!r} (same names, other order)"


def to_bytes(artifact: Artifact) -> bytes:
    """The artifact as JSON; the same artifact gives the same bytes."""
    return msgspec.json.encode(artifact, order="deterministic")


def from_bytes(raw: bytes, sha256: str) -> Artifact:
    """The artifact in `raw`.

    Raises
    ------
    ArtifactError
        The bytes are not those that `sha256` names, or not an artifact this code can read.
    """
    came = sha256_of(raw)
    if came != sha256:
        raise ArtifactError(
            f"artifact damaged: expected sha256 {sha256}, got {came}; "
            "export it again, roll back to another version or retrain"
        )
    try:
        artifact = msgspec.json.decode(raw, type=Artifact)
    except msgspec.DecodeError as error:
        raise ArtifactError(
            f"artifact unreadable: {error}; expected format {FORMAT}; retrain"
        ) from None
    if artifact.format != FORMAT:
        raise ArtifactError(
            f"artifact {artifact.version}: expected format {FORMAT}, got {artifact.format}; "
            "use the release that wrote it, or retrain"
        )
    n = len(artifact.feature_names)
    if len(artifact.reference) != n:
        raise ArtifactError(
            f"artifact {artifact.version}: expected {n} reference distributions, "
            f"got {len(artifact.reference)}; retrain"
        )
    return artifact


def sha256_of(raw: bytes) -> str:
    """Hex digest that names the bytes."""
    return hashlib.sha256(raw).hexdigest()


def with_version(artifact: Artifact) -> Artifact:
    """The artifact under the version that its content gives: YYYYMMDDTHHMMSS-digest."""
    blank = msgspec.structs.replace(artifact, version="")
    digest = hashlib.blake2b(to_bytes(blank), digest_size=4).hexdigest()
    until = datetime.fromtimestamp(artifact.trained_until_us // 1_000_000, UTC)
    return msgspec.structs.replace(artifact, version=f"{until:%Y%m%dT%H%M%S}-{digest}")


def _some(names: Sequence[str]) -> str:
    if not names:
        return "none"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
