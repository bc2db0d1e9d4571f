"""A stored model as one file that another registry can take, with its verdict and its hash."""

from __future__ import annotations

from typing import Any

import msgspec

from models.artifact import (
    Artifact,
    ArtifactError,
    from_bytes,
    sha256_of,
    to_bytes,
    with_version,
)
from models.scorer import ArtifactScorer


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """The file. verdict: what the gates said where it was trained; sha256: of `artifact`."""

    sha256: str
    verdict: dict[str, Any]
    artifact: str


def exported(artifact: Artifact, verdict: dict[str, Any]) -> bytes:
    """The file's content."""
    raw = to_bytes(artifact)
    return msgspec.json.encode(
        Exported(sha256=sha256_of(raw), verdict=verdict, artifact=raw.decode())
    )


def imported(raw: bytes, sha256: str | None = None) -> tuple[Artifact, dict[str, Any]]:
    """The artifact and its verdict.

    Parameters
    ----------
    sha256 : of the artifact, from whoever exported it; None trusts the file's own.

    Raises
    ------
    ArtifactError
        The file is cut, changed, of another format, or not the one that `sha256` names; or a
        member of it cannot be read.
    """
    try:
        file = msgspec.json.decode(raw, type=Exported)
    except msgspec.DecodeError as error:
        raise ArtifactError(
            f"expected a file of tapewire models export, got something else: {error}"
        ) from None
    expected, came = file.sha256 if sha256 is None else sha256, sha256_of(file.artifact.encode())
    if came != expected:
        raise ArtifactError(f"expected sha256 {expected}, got {came}; export it again")
    artifact = from_bytes(file.artifact.encode(), came)
    try:
        version = with_version(artifact).version
    except (ValueError, OverflowError) as error:
        raise ArtifactError(f"trained_until_us: expected a time, got {error}") from None
    if version != artifact.version:
        raise ArtifactError(f"expected version {version} of its content, got {artifact.version}")
    ArtifactScorer(artifact)  # its members can be read
    return artifact, file.verdict


def differences(one: Artifact, other: Artifact) -> list[tuple[str, str, str]]:
    """What two models do not share: (what, the one's, the other's), in the artifact's order."""
    a, b = _facts(one), _facts(other)
    return [
        (name, a.get(name, "none"), b.get(name, "none"))
        for name in dict.fromkeys((*a, *b))
        if a.get(name) != b.get(name)
    ]


def _facts(artifact: Artifact) -> dict[str, str]:
    """Every fact by its path; of members, feature order and reference distributions a digest."""
    fields = msgspec.to_builtins(artifact)
    digests = {f"{member['role']} model": _digest(member) for member in fields.pop("members")}
    names, drawn = fields.pop("feature_names"), fields.pop("reference")
    del fields["version"]
    features = {f"feature {n}": _digest(each) for n, each in zip(names, drawn, strict=True)}
    return {**dict(_flat("", fields)), **digests, "feature order": _digest(names), **features}


def _digest(value: Any) -> str:
    return sha256_of(msgspec.json.encode(value))[:12]


def _flat(prefix: str, value: Any) -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return [
            each
            for name, inner in value.items()
            for each in _flat(f"{prefix}.{name}".lstrip("."), inner)
        ]
    return [(prefix, str(value))]
